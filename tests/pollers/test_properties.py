"""Random worlds, random trouble, random moments: what was told is what there is, all the same.

The rules that hold after any poll are in `poller_stage` and `folding`; each play ends with them.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import stamina
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consumer.model import System
from consumer.polling import HoldSettings
from consumer.settings import PrivacySettings
from consumer.simulators.faults import Kind, faults_of, spellings
from consumer.values import Secret
from poller_scenes import CinxScene, CinxSetting, MvetScene, MvetSetting
from poller_stage import Act, Alter, Force, JournalFails, Misbehave, Poll, Restart, Scene, Stage

NTH = st.integers(0, 12)
HOLDS = st.builds(
    HoldSettings, share=st.sampled_from([0.0, 0.5]), count=st.sampled_from([0, 2, 20])
)
PRIVACY = st.sampled_from(
    [
        PrivacySettings(),
        PrivacySettings(parties="hashed", key=Secret("sixteen or more characters")),
        PrivacySettings(parties="none"),
    ]
)
COMMON = ("opened", "changed", "changed", "ended", "ended", "returned", "stepped", "emptied")
MVET = (*COMMON, "repeated", "repeated", "varied")
CINX = (*COMMON, "rephrased", "forgotten", "shuffled")

_EVERY = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])


def plays(system: System, what: Sequence[str]) -> st.SearchStrategy[list[Act]]:
    """Rounds, before each of which something happens, and something goes wrong now and then."""
    alter = st.builds(Alter, st.sampled_from(what), NTH)
    fault = st.sampled_from(list(faults_of(system))) | st.sampled_from(list(spellings(system)))
    kinds: Sequence[Kind] = ("list",) if system == "mvet" else ("detail", "detail", "list")
    times = st.integers(1, 3)
    trouble: st.SearchStrategy[Act] = st.one_of(
        st.builds(Force, fault, times, st.integers(0, 4)),
        st.builds(Force, fault, times, st.integers(0, 4), st.sampled_from(kinds)),
        st.builds(Misbehave, fault, st.sampled_from([0.1, 0.3, 0.0, 1.0])),
        st.builds(
            JournalFails,
            st.sampled_from(["append", "append", "watched", "told"]),
            st.booleans(),
            skip=st.integers(0, 3),
            times=times,
        ),
        st.builds(Restart, st.booleans()),
    )
    during = st.lists(st.tuples(st.integers(1, 12), alter), max_size=3).map(tuple)
    poll = st.builds(Poll, during, stopped=st.none() | st.none() | st.integers(1, 15))
    round_ = st.tuples(
        st.lists(alter, max_size=4), st.lists(trouble, max_size=2), poll | st.just(Poll())
    )
    rounds = st.lists(round_, min_size=4, max_size=12)
    return rounds.map(
        lambda each: [act for happens, wrong, poll in each for act in (*happens, *wrong, poll)]
    )


MVET_SETTINGS = st.builds(
    MvetSetting,
    seed=st.integers(0, 1000),
    lines=st.integers(0, 9),
    customers=st.sampled_from([("0002789",), ("0002789", "0000001", "1234567")]),
    hold=HOLDS,
    etag=st.booleans(),
    attempts=st.integers(1, 2),
    concurrency=st.sampled_from([1, 3]),
    patient=st.sampled_from([True, True, True, False]),
)
CINX_SETTINGS = st.builds(
    CinxSetting,
    seed=st.integers(0, 1000),
    lines=st.integers(0, 9),
    organisations=st.sampled_from([("Harbor & Söhne",), ("Harbor & Söhne", "Dock 9")]),
    looked_up=st.booleans(),
    authentication=st.sampled_from(["basic", "basic", "bearer"]),
    detail=st.sampled_from(["changed", "changed", "never"]),
    format=st.sampled_from(["json", "json", "xml"]),
    page_size=st.sampled_from([2, 3, 5, 50]),
    counts=st.sampled_from(["true", "zero", "absent"]),
    hold=HOLDS,
    etag=st.booleans(),
    attempts=st.integers(1, 2),
    concurrency=st.sampled_from([1, 3]),
    patient=st.sampled_from([True, True, True, False]),
)


# What each sieve and each memory is for; random plays come by these now and then only.
EMPTY_ONCE: Sequence[Act] = (Poll(), Force("empty"), Poll(), Force("foreign"), Poll(), Poll())
ONE_OF_TWO: Sequence[Act] = (
    *(Poll(), Alter("varied"), Poll(), Alter("ended"), Poll(), Alter("changed", 5), Poll()),
)
NO_DETAIL: Sequence[Act] = (
    *(Poll(), Alter("rephrased", 1), Force("status.500", kind="detail"), Poll(), Poll()),
    *(Alter("opened"), Force("status.500", kind="detail"), Poll()),
)


async def perform(
    scene: Scene, play: Sequence[Act], privacy: PrivacySettings, *, patient: bool
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with Stage(scene, Path(directory, "journal.db"), privacy, patient) as stage:
            await stage.play(play)
            await stage.settle()


@pytest.mark.timeout(420)  # it takes long to make a failure small
@settings(_EVERY, max_examples=60)
@example(MvetSetting(), EMPTY_ONCE, PrivacySettings())
@example(MvetSetting(lines=1), ONE_OF_TWO, PrivacySettings())
@given(setting=MVET_SETTINGS, play=plays("mvet", MVET), privacy=PRIVACY)
def test_mvet(setting: MvetSetting, play: Sequence[Act], privacy: PrivacySettings) -> None:
    with stamina.set_testing(True, attempts=2, cap=True):  # no waits between attempts
        asyncio.run(perform(MvetScene(setting), play, privacy, patient=setting.patient))


@pytest.mark.timeout(420)  # it takes long to make a failure small
@settings(_EVERY, max_examples=60)
@example(CinxSetting(), NO_DETAIL, PrivacySettings())
@given(setting=CINX_SETTINGS, play=plays("cinx", CINX), privacy=PRIVACY)
def test_cinx(setting: CinxSetting, play: Sequence[Act], privacy: PrivacySettings) -> None:
    with stamina.set_testing(True, attempts=2, cap=True):  # no waits between attempts
        asyncio.run(perform(CinxScene(setting), play, privacy, patient=setting.patient))
