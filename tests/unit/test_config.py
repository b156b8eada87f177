"""Settings: every rule is kept and named, and the key shows nowhere."""

import copy
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from nrm_async._secrets import SecretBytes, SecretStr
from nrm_async._version import __version__
from nrm_async.client import NRMClient
from nrm_async.config import ApiKey, RetryPolicy, Settings, Timeouts
from nrm_async.errors import ConfigurationError, NRMError

SECRET = "good-key-123456"
THE_API = "https://api.outboundiq.cloud/nrm"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the settings of the machine it runs on."""
    monkeypatch.delenv("OUTBOUNDIQ_API_KEY", raising=False)
    monkeypatch.delenv("NRM_BASE_URL", raising=False)


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
def test_key_goes_into_the_header(text: str) -> None:
    """Any visible ASCII makes a key, and the header is exactly that behind its scheme."""
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
    """A broken rule is handed back by name, and the client raises it without the key in it."""
    error = ApiKey.take(value)
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith(f"api_key {rule}")
    assert not value or str(value) not in str(error)
    with pytest.raises(ConfigurationError, match=r"^api_key "):
        NRMClient(value)


def test_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no key is given, it is that of the environment; one that is given wins."""
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
    """The environment's key keeps the same rules, and an empty one is a missing one."""
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
    """No way of writing the key, the settings or the client shows the key."""
    holder = HOLDERS[what]()
    try:
        shown = show(holder)
    except TypeError:
        return  # nothing to show, as with vars of a class with slots
    assert SECRET not in repr(shown)


def test_key_stands_behind_a_placeholder() -> None:
    """That there is a key can be seen, and the header's repr hides it too."""
    assert repr(key()) == str(key()) == f"{key()}" == "ApiKey('***')"
    assert repr(key().header) == "'***'"
    assert "api_key=ApiKey('***')" in repr(resolve())


@pytest.mark.parametrize("make", [key, resolve])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_key_is_not_pickled(make: Callable[[], object], protocol: int) -> None:
    """Pickling the key, or what holds it, is refused, by every protocol."""
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(make(), protocol)


def test_key_is_not_copied_deeply() -> None:
    """A deep copy of the settings would be a second key: it is refused too."""
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy(resolve())


def all_that_shows(error: BaseException) -> Iterator[str]:
    """All that error reporters print: text, arguments, attributes, pickles, variables of frames."""
    chained: BaseException | None = error
    while chained is not None:
        yield from (str(chained), repr(chained), repr(vars(chained)), repr(pickle.dumps(chained)))
        for frame, _line in traceback.walk_tb(chained.__traceback__):
            yield from (written(value) for value in frame.f_locals.values())
        chained = chained.__cause__ or chained.__context__


def written(value: object) -> str:
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
    "bytes": lambda: NRMClient(b"leaked"),  # type: ignore[arg-type]  # what is tested
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
    """Whatever setting is refused, the key is not in the error nor in any frame's variables."""
    shown = list(all_that_shows(raised(make)))
    assert len(shown) > 6  # frames were looked at
    assert not [text for text in shown if "leaked" in text]


@pytest.mark.parametrize("make", NOT_CREATED.values(), ids=NOT_CREATED.keys())
def test_refusal_can_be_reported_with_variables(make: Callable[[], object]) -> None:
    """The standard library can report such an error with its variables, and without the key."""
    error = raised(make)
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    variables = [text for frame in report.stack for text in (frame.locals or {}).values()]
    assert variables
    assert not [text for text in variables if "leaked" in text]


@pytest.mark.parametrize("value", ["leaked\nkey", "leaked-key-123456"])
def test_environments_key_is_in_no_traceback(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """The same holds for a key from the environment."""
    monkeypatch.setenv("OUTBOUNDIQ_API_KEY", value)
    del value
    error = raised(lambda: NRMClient(base_url="http://example.com"))
    assert not [text for text in all_that_shows(error) if "leaked" in text]


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
    """https to any host and http to a loopback one are taken, without the slashes at the end."""
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
    """A base URL that could leak the key, or leads nowhere, is refused by name and rule."""
    check_refused(f"base_url {rule}", resolve, base_url=value)
    with pytest.raises(ConfigurationError) as caught:
        resolve(base_url=value)
    assert "pass@" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_base_url_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no base URL is given, it is the environment's, else the API's; one given wins."""
    assert resolve().base_url == THE_API
    monkeypatch.setenv("NRM_BASE_URL", "http://localhost:8080/nrm/")
    assert resolve().base_url == "http://localhost:8080/nrm"
    assert resolve(base_url="https://example.com").base_url == "https://example.com"
    monkeypatch.setenv("NRM_BASE_URL", "")
    assert resolve().base_url == THE_API


def test_base_url_rule_for_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's base URL keeps the same rules."""
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
    """Any whole number from 1 on bounds the requests in flight."""
    assert resolve(max_concurrency=value).max_concurrency == value


@pytest.mark.parametrize("value", [0, -1, 1.0, "16", True, None], ids=short)
def test_max_concurrency_rule(value: Any) -> None:
    """A bound that would let nothing through, or is no whole number, is refused."""
    check_refused("max_concurrency must be", resolve, max_concurrency=value)


@pytest.mark.parametrize("value", [None, 1, 0.5, 1000.0])
def test_max_rate(value: float | None) -> None:
    """Any number above 0 is a rate, fractions too, and None is no limit."""
    assert resolve(max_rate=value).max_rate == value


@pytest.mark.parametrize("value", [*NOT_POSITIVE, "1", True, []], ids=short)
def test_max_rate_rule(value: Any) -> None:
    """A rate that is not above 0 and finite is refused."""
    check_refused("max_rate must be", resolve, max_rate=value)


@pytest.mark.parametrize("value", [0.5, 10, 30.0])
def test_timeout_is_that_of_an_attempt(value: float) -> None:
    """A bare number is the seconds of one attempt, and all other times are the defaults."""
    assert resolve(timeout=value).timeouts == Timeouts(attempt=value)


def test_timeouts_pass_through() -> None:
    """Timeouts are taken as they are."""
    timeouts = Timeouts(attempt=5, connect=1, call=60)
    assert resolve(timeout=timeouts).timeouts is timeouts


@pytest.mark.parametrize("value", [*NOT_POSITIVE, *NO_NUMBERS], ids=short)
def test_timeout_rule(value: Any) -> None:
    """A time-out that is not above 0 and finite is refused: nothing waits for ever."""
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
    """The time to connect always ends before that of the attempt, so the two can be told apart."""
    timeouts = Timeouts(attempt=attempt, connect=connect)
    assert (timeouts.attempt, timeouts.connect, timeouts.call) == (attempt, effective, None)


def test_retry_policy_defaults() -> None:
    """Without a policy the defaults hold, and they are at least the vendor's own rule."""
    policy = resolve().retry
    assert policy == RetryPolicy()
    assert (policy.base, policy.cap) == (0.5, 8.0)
    assert policy.max_retries >= 2


def test_retry_policy_passes_through() -> None:
    """A policy is taken as it is; zeros are fine everywhere."""
    policy = RetryPolicy(max_retries=0, base=0, cap=0, max_retry_after=0)
    assert resolve(retry=policy).retry is policy


@pytest.mark.parametrize("name", ["base", "cap", "max_retry_after"])
@pytest.mark.parametrize("value", [*NEGATIVE, *NO_NUMBERS], ids=short)
def test_retry_seconds_rule(name: str, value: Any) -> None:
    """Seconds of a policy that are negative, endless or no number are refused by name."""
    check_refused(f"retry.{name} must be", RetryPolicy, **{name: value})


@pytest.mark.parametrize("value", [-1, 1.0, "4", True, None], ids=short)
def test_max_retries_rule(value: Any) -> None:
    """A number of retries that is no whole number of at least 0 is refused."""
    check_refused("retry.max_retries must be", RetryPolicy, max_retries=value)


@pytest.mark.parametrize("value", [3, {"max_retries": 3}, "none", RetryPolicy, False], ids=short)
def test_retry_rule(value: Any) -> None:
    """Anything but a policy, false values too, is refused."""
    check_refused("retry must be a RetryPolicy", resolve, retry=value)


# --- the rest -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["http://proxy:3128", "https://proxy", "http://user:pass@proxy:3128", "http://[::1]:1"]
)
def test_proxy(value: str) -> None:
    """A proxy is an http or https URL, and its repr does not show who logs in."""
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
    """What was checked stays as it is."""
    value = make()
    for attribute in attrs.fields(type(value)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, attribute.name, None)


@pytest.mark.parametrize("secret", [SecretStr("a-secret"), SecretBytes(b"a-secret")], ids=type)
def test_a_secret_shows_nowhere_and_is_not_pickled(secret: SecretStr | SecretBytes) -> None:
    """Neither by itself nor inside of anything; what goes over the wire is the secret."""
    assert repr([secret]) == "['***']"
    assert len(secret) == len("a-secret")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps({"key": secret})
