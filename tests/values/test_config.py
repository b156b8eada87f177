"""Settings are validated by name and rule, and the key is never shown."""

import copy
import pickle
import ssl
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from nrm_async._version import __version__
from nrm_async.client import NRMClient
from nrm_async.config import ApiKey, RetryPolicy, SecretBytes, SecretStr, Settings, Timeouts
from nrm_async.errors import ConfigurationError, NRMError

SECRET = "good-key-123456"
THE_API = "https://api.outboundiq.cloud/nrm"


def key() -> ApiKey:
    taken = ApiKey.take(SECRET)
    assert isinstance(taken, ApiKey)
    return taken


def resolve(**options: Any) -> Settings:
    defaults: dict[str, Any] = {
        "base_url": None,
        "max_concurrency": 16,
        "max_rate": None,
        "timeout": 30.0,
        "retry": None,
        "confirm": None,
        "on_unknown": "confirm",
        "ssl_context": None,
        "ca_bundle": None,
        "proxy": None,
        "user_agent": None,
    }
    return Settings.resolve(key(), **(defaults | options))


def check_refused(setting: str, make: Callable[..., object], *values: Any, **options: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(*values, **options)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, NRMError)
    assert str(caught.value).startswith(setting)


# --- the key ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [SECRET, "k", "!~", "a/b+c=="])
def test_key_in_the_header(text: str) -> None:
    """Any visible ASCII is a key, and the header is exactly the key after its scheme."""
    taken = ApiKey.take(text)
    assert isinstance(taken, ApiKey)
    assert f"{taken.header}" == f"Bearer {text}"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("", "is missing: pass api_key=… or set OUTBOUNDIQ_API_KEY"),
        *[(text, "must be visible ASCII") for text in ("bad\nkey", "bad\r\nX: y", "bad key", " k")],
        *[
            (text, "must be visible ASCII")
            for text in ("k\t", "bad\x00key", "bad\x7f", "schlüssel")
        ],
        *[(text, "must be visible ASCII") for text in ("\ud800", "k\u200b")],
        *[(value, "must be a string, not") for value in (b"key", 5, True, ["key"])],
    ],
)
def test_key_rule(value: Any, rule: str) -> None:
    """A broken rule is returned by name, and the client raises it without the key."""
    error = ApiKey.take(value)
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith(f"api_key {rule}")
    assert not value or str(value) not in str(error)
    with pytest.raises(ConfigurationError, match=r"^api_key "):
        NRMClient(value)


def test_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's key is used if none is given."""
    monkeypatch.setenv("OUTBOUNDIQ_API_KEY", "from-the-environment")
    taken, given = ApiKey.take(None), ApiKey.take(SECRET)
    assert isinstance(taken, ApiKey)
    assert isinstance(given, ApiKey)
    assert f"{taken.header} {given.header}" == f"Bearer from-the-environment Bearer {SECRET}"


@pytest.mark.parametrize(
    ("value", "rule"), [(None, "is missing"), ("", "is missing"), ("a b", "must")]
)
def test_key_rule_for_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str | None, rule: str
) -> None:
    """The environment's key follows the same rules, and an empty one is missing."""
    if value is not None:
        monkeypatch.setenv("OUTBOUNDIQ_API_KEY", value)
    with pytest.raises(ConfigurationError, match=f"^api_key {rule}"):
        NRMClient()


HOLDERS: dict[str, Callable[[], object]] = {
    "key": key,
    "settings": resolve,
    "client": lambda: NRMClient(SECRET),
    "list": lambda: [key(), resolve()],
}


@pytest.mark.parametrize("show", [repr, str, format, ascii, "{!r:>40}".format, "%s".__mod__, vars])
@pytest.mark.parametrize("what", HOLDERS)
def test_key_is_not_shown(what: str, show: Callable[[object], object]) -> None:
    """No way of formatting the key, the settings or the client shows the key."""
    holder = HOLDERS[what]()
    try:
        shown = show(holder)
    except TypeError:
        return  # nothing to show, as with vars of a class with slots
    assert SECRET not in repr(shown)


def test_key_is_shown_as_a_placeholder() -> None:
    """The placeholder shows that there is a key; the ``repr`` of the header hides it too."""
    assert repr(key()) == str(key()) == f"{key()}" == "ApiKey('***')"
    assert repr(key().header) == "'***'"
    assert "api_key=ApiKey('***')" in repr(resolve())


@pytest.mark.parametrize("make", [key, resolve])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_key_is_not_pickled(make: Callable[[], object], protocol: int) -> None:
    """Every pickle protocol refuses the key and what holds it."""
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(make(), protocol)


def test_deep_copy_of_settings_keeps_the_key_hidden() -> None:
    """A copy within the process works, also with a TLS context, and shows no more."""
    settings = resolve(ssl_context=ssl.create_default_context(), proxy="http://u:secret@proxy:1")
    for made in (copy.deepcopy(settings), copy.copy(settings), copy.deepcopy({"s": settings})["s"]):
        assert made == settings
        assert made.api_key.header == settings.api_key.header
        assert made.proxy == settings.proxy
        assert SECRET not in repr(made)
        assert "secret" not in repr(made)
    assert copy.deepcopy(settings.api_key).header == copy.copy(settings.api_key).header


def everything_visible(error: BaseException) -> Iterator[str]:
    """Yield what error reporters print: text, arguments, attributes, pickles, locals of frames."""
    chained: BaseException | None = error
    while chained is not None:
        yield from (str(chained), repr(chained), repr(vars(chained)), repr(pickle.dumps(chained)))
        for frame, _line in traceback.walk_tb(chained.__traceback__):
            yield from (shown(value) for value in frame.f_locals.values())
        chained = chained.__cause__ or chained.__context__


def shown(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:  # an object that is not made yet
        return repr(vars(value))


def raised(make: Callable[[], object]) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        make()
    return caught.value


NOT_CREATED: dict[str, Callable[[], object]] = {
    "line break": lambda: NRMClient("leaked\nkey"),
    "space": lambda: NRMClient("leaked key"),
    "not ASCII": lambda: NRMClient("leaked-kéy"),
    "bytes": lambda: NRMClient(b"leaked"),  # type: ignore[arg-type]  # tested
    "http": lambda: NRMClient("leaked-key-123456", base_url="http://example.com"),
    "no URL": lambda: NRMClient("leaked-key-123456", base_url="https://[::1"),
    "concurrency": lambda: NRMClient("leaked-key-123456", max_concurrency=0),
    "rate": lambda: NRMClient("leaked-key-123456", max_rate=-1),
    "timeout": lambda: NRMClient("leaked-key-123456", timeout=0),
    "retry": lambda: NRMClient("leaked-key-123456", retry=3),  # type: ignore[arg-type]  # tested
    "proxy": lambda: NRMClient("leaked-key-123456", proxy="ftp://proxy"),
    "user agent": lambda: NRMClient("leaked-key-123456", user_agent=""),
    "session": lambda: NRMClient("leaked-key-123456", session=5),  # type: ignore[arg-type]  # same
}


@pytest.mark.parametrize("make", NOT_CREATED.values(), ids=NOT_CREATED.keys())
def test_key_is_in_no_traceback(make: Callable[[], object]) -> None:
    """Whichever setting is refused, neither the error nor the locals of its frames have the key."""
    shown = list(everything_visible(raised(make)))
    assert len(shown) > 6  # frames were looked at
    assert not [text for text in shown if "leaked" in text]


@pytest.mark.parametrize("make", NOT_CREATED.values(), ids=NOT_CREATED.keys())
def test_error_can_be_reported_with_locals(make: Callable[[], object]) -> None:
    """The standard library reports such an error with locals and without the key."""
    error = raised(make)
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    variables = [text for frame in report.stack for text in (frame.locals or {}).values()]
    assert variables
    assert not [text for text in variables if "leaked" in text]


@pytest.mark.parametrize("value", ["leaked\nkey", "leaked-key-123456"])
def test_environment_key_is_in_no_traceback(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """The same for a key from the environment."""
    monkeypatch.setenv("OUTBOUNDIQ_API_KEY", value)
    del value
    error = raised(lambda: NRMClient(base_url="http://example.com"))
    assert not [text for text in everything_visible(error) if "leaked" in text]


# --- the base URL -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "base_url"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com"),
        ("https://example.com/nrm/", "https://example.com/nrm"),
        ("https://example.com/nrm//", "https://example.com/nrm"),
        ("https://example.com:8443/a@b", "https://example.com:8443/a@b"),
        ("HTTPS://EXAMPLE.COM/nrm", "HTTPS://EXAMPLE.COM/nrm"),
        ("https://192.0.2.1/nrm", "https://192.0.2.1/nrm"),
        ("http://localhost:8080/nrm", "http://localhost:8080/nrm"),
        ("http://LOCALHOST/nrm", "http://LOCALHOST/nrm"),
        ("http://127.0.0.1:9/nrm/", "http://127.0.0.1:9/nrm"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8080/nrm", "http://[::1]:8080/nrm"),
    ],
)
def test_base_url(value: str, base_url: str) -> None:
    """https to any host and http to a loopback one are accepted, without trailing slashes."""
    assert resolve(base_url=value).base_url == base_url


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        *[
            (f"http://{host}/nrm", "must be https")
            for host in ("example.com", "192.0.2.1", "[::2]")
        ],
        *[(f"http://{host}/nrm", "must be https") for host in ("localhost.example.com", "0.0.0.0")],
        *[(f"http://{host}/nrm", "must be https") for host in ("127.0.0.1.example.com", "127.1")],
        *[(f"{scheme}://example.com", "must be https") for scheme in ("ftp", "ws", "file")],
        ("//example.com/nrm", "must be https"),
        ("https://user@example.com", "must not contain user info"),
        ("https://user:pass@example.com", "must not contain user info"),
        ("https://@example.com", "must not contain user info"),
        ("http://localhost@example.com", "must not contain user info"),
        ("https://example.com/nrm?", "must not contain a query"),
        ("https://example.com/nrm?a=b", "must not contain a query"),
        ("https://example.com/nrm#", "must not contain a query"),
        ("https://example.com/nrm#part", "must not contain a query"),
        *[(text, "must name a host") for text in ("https://", "https:///nrm", "https://:80", "x")],
        *[(text, "is not a valid URL") for text in ("https://[::1", "https://example.com:99999")],
        ("https://example.com:port", "is not a valid URL"),
        *[(text, "must be a URL in visible ASCII") for text in ("", "https://exämple.com", " ")],
        ("https://example.com/\nnrm", "must be a URL in visible ASCII"),
        *[(value, "must be a string") for value in (5, b"https://example.com", True)],
    ],
)
def test_base_url_rule(value: Any, rule: str) -> None:
    """A base URL that could leak the key, or has no valid host, is refused by rule."""
    check_refused(f"base_url {rule}", resolve, base_url=value)
    with pytest.raises(ConfigurationError) as caught:
        resolve(base_url=value)
    assert "pass@" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_base_url_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument comes before the environment, and the environment before the default."""
    assert resolve().base_url == THE_API
    monkeypatch.setenv("NRM_BASE_URL", "http://localhost:8080/nrm/")
    assert resolve().base_url == "http://localhost:8080/nrm"
    assert resolve(base_url="https://example.com").base_url == "https://example.com"
    monkeypatch.setenv("NRM_BASE_URL", "")
    assert resolve().base_url == THE_API


def test_base_url_rule_for_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's base URL follows the same rules."""
    monkeypatch.setenv("NRM_BASE_URL", "http://example.com/nrm")
    check_refused("base_url must be https", resolve)


# --- numbers ------------------------------------------------------------------------------------

NO_NUMBERS: list[object] = ["1", None, True, [], 1j]
NOT_POSITIVE = [0, -1, -0.5, float("nan"), float("inf"), -float("inf"), 10**400]
NEGATIVE = [-1, -0.5, float("nan"), float("inf"), 10**400]


def short(value: object) -> str:
    return repr(value)[:12]


@pytest.mark.parametrize("value", [1, 16, 10_000])
def test_max_concurrency(value: int) -> None:
    """Any whole number of at least 1 is accepted."""
    assert resolve(max_concurrency=value).max_concurrency == value


@pytest.mark.parametrize("value", [0, -1, 1.0, "16", True, None], ids=short)
def test_max_concurrency_rule(value: Any) -> None:
    """A number that would let nothing through, or is not whole, is refused."""
    check_refused("max_concurrency must be", resolve, max_concurrency=value)


@pytest.mark.parametrize("value", [None, 1, 0.5, 1000.0])
def test_max_rate(value: float | None) -> None:
    """Any number above 0 is a rate, fractions too; ``None`` is no limit."""
    assert resolve(max_rate=value).max_rate == value


@pytest.mark.parametrize("value", [*NOT_POSITIVE, "1", True, []], ids=short)
def test_max_rate_rule(value: Any) -> None:
    """A rate that is not above 0 and finite is refused."""
    check_refused("max_rate must be", resolve, max_rate=value)


@pytest.mark.parametrize("value", [0.5, 10, 30.0])
def test_timeout_is_that_of_an_attempt(value: float) -> None:
    """A bare number is the seconds of one attempt; all other times are the defaults."""
    assert resolve(timeout=value).timeouts == Timeouts(attempt=value)


def test_timeouts_pass_through() -> None:
    """``Timeouts`` are used as they are."""
    timeouts = Timeouts(attempt=5, connect=1, call=60)
    assert resolve(timeout=timeouts).timeouts is timeouts


@pytest.mark.parametrize("value", [*NOT_POSITIVE, *NO_NUMBERS], ids=short)
def test_timeout_rule(value: Any) -> None:
    """A time-out that is not above 0 and finite is refused: nothing waits forever."""
    check_refused("timeout must be", resolve, timeout=value)
    check_refused("timeout must be", Timeouts, attempt=value)
    check_refused("timeout.connect must be", Timeouts, connect=value)
    if value is not None:
        check_refused("timeout.call must be", Timeouts, call=value)


@pytest.mark.parametrize(
    ("attempt", "connect", "effective"),
    [(30.0, 10.0, 10.0), (10.0, 10.0, 9.0), (1.0, 10.0, 0.9), (1.0, 0.5, 0.5)],
)
def test_connecting_ends_before_the_attempt(
    attempt: float, connect: float, effective: float
) -> None:
    """The time to connect ends before the attempt's, so that the two can be distinguished."""
    timeouts = Timeouts(attempt=attempt, connect=connect)
    assert (timeouts.attempt, timeouts.connect, timeouts.call) == (attempt, effective, None)


def test_retry_policy_defaults() -> None:
    """The defaults retry at least as often as the vendor's own client."""
    policy = resolve().retry
    assert policy == RetryPolicy()
    assert (policy.base, policy.cap) == (0.5, 8.0)
    assert policy.max_retries >= 2


def test_retry_policy_passes_through() -> None:
    """A policy is used as it is; zeros are allowed everywhere."""
    policy = RetryPolicy(max_retries=0, base=0, cap=0, max_retry_after=0)
    assert resolve(retry=policy).retry is policy


@pytest.mark.parametrize("name", ["base", "cap", "max_retry_after"])
@pytest.mark.parametrize("value", [*NEGATIVE, *NO_NUMBERS], ids=short)
def test_retry_seconds_rule(name: str, value: Any) -> None:
    """Seconds that are negative, infinite or not a number are refused by name."""
    check_refused(f"retry.{name} must be", RetryPolicy, **{name: value})


@pytest.mark.parametrize("value", [-1, 1.0, "4", True, None], ids=short)
def test_max_retries_rule(value: Any) -> None:
    """A number of retries that is not whole and at least 0 is refused."""
    check_refused("retry.max_retries must be", RetryPolicy, max_retries=value)


@pytest.mark.parametrize("value", [3, {"max_retries": 3}, "none", RetryPolicy, False], ids=short)
def test_retry_rule(value: Any) -> None:
    """Anything but a policy is refused, false values too."""
    check_refused("retry must be a RetryPolicy", resolve, retry=value)


# --- the rest -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["http://proxy:3128", "https://proxy", "http://user:pass@proxy:3128", "http://[::1]:1"]
)
def test_proxy(value: str) -> None:
    """A proxy is an http or https URL, and ``repr`` hides its credentials."""
    settings = resolve(proxy=value)
    assert settings.proxy == value
    assert "proxy='***'" in repr(settings)
    assert "pass" not in repr(settings)


def test_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting there is no proxy, whatever the environment says."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert resolve().proxy is None


@pytest.mark.parametrize(
    "value",
    [
        *("", "proxy", "proxy:3128", "ftp://proxy", "socks5://proxy", "http://", "http://:3128"),
        *("http://proxy:99999", "http://proxy:0", "http://[::1", "http://pro\nxy", "http://prö.xy"),
        *(5, True, b"http://proxy"),
    ],
)
def test_proxy_rule(value: Any) -> None:
    """Any other proxy is refused, and the error does not repeat it."""
    check_refused("proxy must be", resolve, proxy=value)


@pytest.mark.parametrize(
    ("suffix", "user_agent"),
    [
        (None, f"nrm-async/{__version__}"),
        ("dialer/2.1", f"nrm-async/{__version__} dialer/2.1"),
        (" dialer/2.1 (night shift) ", f"nrm-async/{__version__} dialer/2.1 (night shift)"),
    ],
)
def test_user_agent(suffix: str | None, user_agent: str) -> None:
    """The caller's product follows ours in the header."""
    assert resolve(user_agent=suffix).user_agent == user_agent


@pytest.mark.parametrize("value", ["", "  ", "a\r\nX: y", "a\x00", "diäler", 5, True, b"dialer"])
def test_user_agent_rule(value: Any) -> None:
    """A product that is empty or could break the header is refused."""
    check_refused("user_agent must be", resolve, user_agent=value)


@pytest.mark.parametrize("make", [resolve, Timeouts, RetryPolicy])
def test_settings_are_frozen(make: Callable[[], Any]) -> None:
    """Validated settings cannot be changed."""
    value = make()
    for attribute in attrs.fields(type(value)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, attribute.name, None)


@pytest.mark.parametrize("secret", [SecretStr("a-secret"), SecretBytes(b"a-secret")], ids=type)
def test_secret_is_shown_nowhere(secret: SecretStr | SecretBytes) -> None:
    """Neither by itself nor inside another value; a pickle has a placeholder, a copy the secret."""
    assert repr([secret]) == "['***']"
    assert len(secret) == len("a-secret")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps({"key": secret}, protocol)
        assert b"a-secret" not in pickled
        assert pickle.loads(pickled)["key"] in ("***", b"***")
    for made in (copy.copy(secret), copy.deepcopy({"key": secret})["key"]):
        assert made is secret


def test_ca_bundle_rule() -> None:
    """An empty path, as from an unset variable, does not mean the system's authorities."""
    with pytest.raises(ConfigurationError, match="ca_bundle must not be empty"):
        NRMClient(SECRET, ca_bundle="")
