"""What several threads use for the first time at once.

msgspec (0.22) works a class out when it is first converted to; a thread that came meanwhile found
half of it, which ended the daemon with SIGSEGV when its first large messages came together.
"""

import signal
import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).parent / "data" / "radial" / "OrderBackorder-Backorder.xml"

SEVERAL_AT_ONCE = """
import sys, threading, time
import msgspec._utils as msgspec_looks
from consumer.model import Message, utc_now
from consumer.settings import PrivacySettings
from consumer.understanding import entry_within
from consumer.validation import Schemas

look = msgspec_looks._get_class_mro_and_typevar_mappings

def slowly(of):  # the time in which others come is milliseconds now instead of microseconds
    time.sleep(0.005)
    return look(of)

schemas, privacy, body = Schemas.load(), PrivacySettings(), sys.stdin.buffer.read()
msgspec_looks._get_class_mro_and_typevar_mappings = slowly
told = []

def understand(place):
    time.sleep(0.003 * place)
    message = Message(body=body, source="s", system="radial", received=utc_now())
    told.append(entry_within(message, schemas, privacy=privacy, most=1 << 20, on_bug=print))

threads = [threading.Thread(target=understand, args=(place,)) for place in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(told), len({entry.events[0].id for entry in told}))
"""


def test_the_first_messages_may_come_together() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL_AT_ONCE],
        input=SAMPLE.read_bytes(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != -signal.SIGSEGV
    assert (done.returncode, done.stdout.split()) == (0, [b"8", b"1"])
