"""Settings: their sources, the precedence of these, and what is refused."""

from pathlib import Path

import pytest

from homeport.app import options
from homeport.settings import SETTINGS, Settings, SettingsError, check_exposure, load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "homeport.yaml"


def test_defaults_are_loopback() -> None:
    """By default the server listens on 127.0.0.1:8080, and no setting has an origin."""
    settings = load(environ={})
    assert (settings.host, settings.port, settings.is_loopback, settings.origins) == ("127.0.0.1", 8080, True, {})


def test_every_field_is_a_setting_with_a_valid_default() -> None:
    """Every field but `origins` is a setting with a help text, and every default passes its own checks."""
    defaults = Settings()
    assert list(SETTINGS) == [name for name in Settings.__dataclass_fields__ if name != "origins"]
    assert all(setting.spec.help.endswith(".") for setting in SETTINGS.values())
    given = {name: getattr(defaults, name) for name in SETTINGS if getattr(defaults, name) not in (None, (), {})}
    assert load(given, environ={}) == defaults


def test_names_and_parsers_follow_from_the_field() -> None:
    """A setting's flag, variables and parser come from its field, unless the annotation names others."""
    slots, models, token, size = (SETTINGS[name] for name in ("slots", "models", "hf_token", "max_body_bytes"))
    assert (slots.flag, slots.variables, slots.parse("3")) == ("--slots", ("HOMEPORT_SLOTS",), 3)
    assert (models.flag, models.parse("a,b")) == ("--model", ("a", "b"))
    assert token.variables == ("HOMEPORT_HF_TOKEN", "HF_TOKEN")
    assert size.parse("1kB") == 1000


def test_precedence_of_sources(file: Path) -> None:
    """A flag overrides the environment, that the file, and that the default; `origins` names the source."""
    file.write_text("port: 1\nslots: 2\nwindow: 64\n")
    environ = {"HOMEPORT_CONFIG": str(file), "HOMEPORT_SLOTS": "3", "HOMEPORT_PORT": "2"}
    settings = load({"port": 3}, environ)
    assert (settings.port, settings.slots, settings.window, settings.batch) == (3, 3, 64, None)
    assert settings.origins == {"port": "--port", "slots": "HOMEPORT_SLOTS", "window": str(file)}


def test_own_variables_override_those_of_other_programs() -> None:
    """HF_TOKEN sets the token, and HOMEPORT_HF_TOKEN overrides it."""
    assert load(environ={"HF_TOKEN": "theirs"}).hf_token == "theirs"
    assert load(environ={"HF_TOKEN": "theirs", "HOMEPORT_HF_TOKEN": "ours"}).hf_token == "ours"


def test_empty_variable_counts_as_unset() -> None:
    """An empty variable keeps the default."""
    assert load(environ={"HOMEPORT_PORT": ""}).port == 8080


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [
        ("127.0.0.1:9", "127.0.0.1", 9),
        ("localhost", "localhost", 8080),
        (":9", "127.0.0.1", 9),
        ("::1", "::1", 8080),
        ("[::1]:9", "::1", 9),
    ],
)
def test_host_may_carry_the_port(value: str, host: str, port: int) -> None:
    """`host:port` sets both; a bare IPv6 address is a host."""
    settings = load(environ={"HOMEPORT_HOST": value})
    assert (settings.host, settings.port) == (host, port)


def test_hosts_of_images_may_be_every_public_one() -> None:
    """`image_hosts` lists hosts, or is `*`; hosts of MCP servers are always listed."""
    assert load(environ={"HOMEPORT_IMAGE_HOSTS": "*, nas.lan"}).image_hosts == ("*", "nas.lan")
    with pytest.raises(SettingsError, match=r"^image_hosts: .*not a host"):
        load(environ={"HOMEPORT_IMAGE_HOSTS": "*.example.com"})
    with pytest.raises(SettingsError, match=r"^mcp_hosts: .*not a host"):
        load(environ={"HOMEPORT_MCP_HOSTS": "*"})


def test_port_flag_overrides_port_in_host() -> None:
    """A port given by flag overrides one in HOMEPORT_HOST; two ports in one source are refused."""
    assert load({"port": 7}, {"HOMEPORT_HOST": "127.0.0.1:9"}).port == 7
    with pytest.raises(SettingsError, match="set twice, by HOMEPORT_HOST and by HOMEPORT_PORT"):
        load(environ={"HOMEPORT_HOST": "127.0.0.1:9", "HOMEPORT_PORT": "8"})


def test_misspelled_variable_is_an_error() -> None:
    """The error names an unknown HOMEPORT_ variable and the nearest known one."""
    with pytest.raises(SettingsError, match=r"HOMEPORT_PROT: .*did you mean HOMEPORT_PORT\?"):
        load(environ={"HOMEPORT_PROT": "1"})
    with pytest.raises(SettingsError, match=r"HOMEPORT_API_KEY: .*did you mean HOMEPORT_API_KEYS\?"):
        load(environ={"HOMEPORT_API_KEY": "x"})


def test_misspelled_key_of_a_file_is_an_error(file: Path) -> None:
    """The error names the file, an unknown key in it and the nearest known one."""
    file.write_text("max-queue: 1\n")
    with pytest.raises(SettingsError, match=r"homeport.yaml: .*'max-queue'; did you mean max_queue\?"):
        load(environ={}, file=file)


@pytest.mark.parametrize(
    ("content", "message"), [("- a", "must be a map"), ("a: [", "is not YAML"), (None, "cannot be read")]
)
def test_unreadable_file_is_an_error(file: Path, content: str | None, message: str) -> None:
    """A file that is missing, not YAML or not a map is refused."""
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=message):
        load(environ={}, file=file)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("port", "80.5", "is not a whole number"),
        ("port", True, "is not a whole number"),
        ("port", 70000, "is above 65535"),
        ("slots", 0, "is below 1"),
        ("drain_s", "nan", "is not a finite number"),
        ("drain_s", [], "is not a number"),
        ("memory_budget_bytes", "8 apples", "is not a size"),
        ("offline", "maybe", "is not on or off"),
        ("models", 5, "is not a list of words"),
        ("aliases", "gpt-4", "is not a list of name=target"),
        ("aliases", {"gpt-4": 4}, "is not a map from names to names"),
        ("home", "", "is not a path"),
        ("log_level", "inof", "did you mean info"),
        ("hub_order", "hf,mz", "'mz' is not one of hf, ms, pypi, file"),
        ("host", 5, "is not text"),
        ("response_days", "forever", "is neither a whole number of days nor `never`"),
        ("response_days", -1, "is below 0"),
        ("response_days", 36_501, "is above 36500"),
    ],
)
def test_invalid_value_is_named_with_its_origin(name: str, value: object, message: str) -> None:
    """A value of the wrong type or out of range is refused with the setting's name and where it was set."""
    with pytest.raises(SettingsError, match=message) as error:
        load({name: value}, {})
    assert str(error.value).startswith(f"{name}: ")
    assert SETTINGS[name].flag in str(error.value)


@pytest.mark.parametrize(
    ("value", "n_bytes"),
    [("8GB", 8 * 10**9), ("1.5 MiB", 3 * 2**19), ("64k", 64_000), ("12", 12), (7, 7), ("1tb", 10**12), ("5B", 5)],
)
def test_sizes_have_units(value: object, n_bytes: int) -> None:
    """Sizes have decimal or binary units, or are plain bytes."""
    assert load({"memory_budget_bytes": value}, {}).memory_budget_bytes == n_bytes


@pytest.mark.parametrize(("value", "keep_s"), [("7", 604_800), (0, 0), (" Never ", None), ("", 30 * 86_400)])
def test_responses_are_kept_for_days_or_without_an_end(value: object, keep_s: int | None) -> None:
    """Responses are kept for whole days, 30 by default; 0 stores none, and `never` has no end."""
    assert options.response_keep_s(load(environ={"HOMEPORT_RESPONSE_DAYS": str(value)})) == keep_s


def test_lists_and_maps_from_one_string() -> None:
    """Lists are split at commas, and maps at equals signs."""
    settings = load({"aliases": ("a=b", "c=d")}, {"HOMEPORT_MODELS": "x, y,"})
    assert settings.models == ("x", "y")
    assert settings.aliases == {"a": "b", "c": "d"}


@pytest.mark.parametrize("host", ["::", "example.org", "192.168.1.5"])
def test_open_address_needs_a_key(host: str) -> None:
    """An address other than loopback is refused without a key, and accepted with one, set or stored."""
    with pytest.raises(SettingsError, match="HOMEPORT_API_KEYS"):
        check_exposure(load({"host": host}, {}), has_keys=False)
    check_exposure(load({"host": host}, {}), has_keys=True)
    check_exposure(load({"host": host}, {"HOMEPORT_API_KEYS": "k1,k2"}), has_keys=False)
    check_exposure(load({}, {}), has_keys=False)


def test_secrets_are_masked() -> None:
    """No secret's value is in the repr, in what is displayed, or in an error about it."""
    environ = {"HOMEPORT_API_KEYS": "sk-0123456789abcdef,short", "HOMEPORT_ADMIN_KEY": "hunter2", "HF_TOKEN": "hf_x"}
    settings = load(environ=environ)
    for shown in (repr(settings), str(settings.to_display())):
        assert not [secret for secret in ("0123456789", "short", "hunter2", "hf_x") if secret in shown]
        assert "sk-01***ef" in shown
    with pytest.raises(SettingsError) as error:
        load({"admin_key": 12345}, {})
    assert "12345" not in str(error.value)


LINKS = {
    "HOMEPORT_SERVICE_HOST": "10.43.7.1",
    "HOMEPORT_SERVICE_PORT": "8080",
    "HOMEPORT_SERVICE_PORT_HTTP": "8080",
    "HOMEPORT_PORT": "tcp://10.43.7.1:8080",
    "HOMEPORT_PORT_8080_TCP": "tcp://10.43.7.1:8080",
    "HOMEPORT_PORT_8080_TCP_PROTO": "tcp",
    "HOMEPORT_PORT_8080_TCP_PORT": "8080",
    "HOMEPORT_PORT_8080_TCP_ADDR": "10.43.7.1",
    "HOMEPORT_PORT_53_UDP": "udp://[fd00::7]:53",
    "HOMEPORT_GPU_SERVICE_HOST": "10.43.7.2",
    "HOMEPORT_GPU_A100_SERVICE_PORT_HTTP_METRICS": "9090",
    "HOMEPORT_GPU_PORT": "tcp://10.43.7.2:8080",
    "HOMEPORT_GPU_PORT_8080_SCTP_ADDR": "10.43.7.2",
}


@pytest.mark.parametrize("name", LINKS)
def test_kubernetes_service_links_are_ignored(name: str) -> None:
    """Variables that Kubernetes sets for services whose names begin with `homeport` are ignored."""
    assert load(environ={name: LINKS[name]}) == load(environ={})


def test_service_links_hide_no_setting_and_no_error() -> None:
    """Next to service links a real port is read, and a variable that only resembles one is refused."""
    assert load(environ={**LINKS, "HOMEPORT_PORT": "9000"}).port == 9000
    for name, value in (("HOMEPORT_PRT", "1"), ("HOMEPORT_GPU_PORT", "8080"), ("HOMEPORT_HOSTS", "10.0.0.1")):
        with pytest.raises(SettingsError, match=name):
            load(environ={**LINKS, name: value})
    with pytest.raises(SettingsError, match="port"):
        load(environ={"HOMEPORT_PORT": "http://10.0.0.1"})


@pytest.mark.parametrize("value", [",", " , ", " "])
def test_separators_are_no_keys(value: str) -> None:
    """A list of keys with separators only is an error, so that no server is open by accident."""
    with pytest.raises(SettingsError, match=r"api_keys: the value .* \(set by HOMEPORT_API_KEYS\)"):
        load(environ={"HOMEPORT_API_KEYS": value})
    assert load(environ={"HOMEPORT_API_KEYS": "a,,b"}).api_keys == ("a", "b")


def test_a_blank_metrics_key_is_an_error() -> None:
    """A blank metrics key is an error, so that metrics are not open through a proxy by accident."""
    with pytest.raises(SettingsError, match="metrics_key: the value is blank"):
        load(environ={"HOMEPORT_METRICS_KEY": " "})
    assert load(environ={"HOMEPORT_METRICS_KEY": ""}).metrics_key is None
    assert load(environ={"HOMEPORT_API_KEYS": ""}).api_keys == ()
