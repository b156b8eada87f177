"""Texts and bytes that go over the wire as they are, and show nowhere else."""


class _Hidden:
    """Goes over the wire as it is, is shown as a placeholder, and is not pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")


class SecretStr(_Hidden, str):
    """A text that shows nowhere."""

    __slots__ = ()


class SecretBytes(_Hidden, bytes):
    """Bytes that show nowhere."""

    __slots__ = ()
