"""Arguments that are text: names, ids, addresses."""

import click


class TextType(click.ParamType[str]):
    """Text. What is none (arguments may be any bytes) no journal and no server could be asked for.

    Names of files are not text, and have types of their own.
    """

    name = "text"

    def __init__(self, *, empty: bool = True) -> None:
        self._empty = empty

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """The text as it was given."""
        text = str(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail("this is not UTF-8 text", param, ctx)
        if not (text or self._empty):
            self.fail("it is empty", param, ctx)
        return text


TEXT = TextType()
NAME = TextType(empty=False)
