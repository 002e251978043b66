"""Variables a program is never given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.outfit import variable_problem


@pytest.mark.parametrize(("name", "value"), [("A B", "x"), ("", "x"), ("1A", "x"), ("A", "x\0"), ("A", "x" * 5000)])
def test_what_is_no_variable_is_refused(name: str, value: str) -> None:
    assert variable_problem(name, value)
    assert not variable_problem("A", "x")


@given(
    st.sampled_from(["LD_", "PYTHON", "GIT_", "DYLD_", "SSH_", "NODE_", "PERL"]),
    st.from_regex(r"[A-Z_]{0,9}", fullmatch=True),
)
def test_no_name_that_a_loader_heeds_passes_in_any_case(prefix: str, rest: str) -> None:
    assert variable_problem(prefix + rest, "x")
    assert variable_problem((prefix + rest).lower(), "x")
    assert not variable_problem("X_" + rest, "x")


def test_only_the_file_of_certificates_is_the_operators_to_name() -> None:
    assert not variable_problem("SSL_CERT_FILE", "/workspace/ca.pem")
    assert variable_problem("SSL_CERT_FILE", "ca.pem")
    assert variable_problem("SSL_CERT_FILE", "/ca\0.pem")
    for name in ("SSL_CERT_DIR", "SSL_CERT_FILES", "ssl_cert_file", "OPENSSL_CONF", "CURL_CA_BUNDLE"):
        assert variable_problem(name, "/workspace/ca.pem"), name


@pytest.mark.parametrize(
    "name",
    [
        "TAR_OPTIONS", "GREP_OPTIONS", "RSYNC_RSH", "CVS_RSH", "AWKPATH", "AWKLIBPATH", "MAKEFILES", "GNUMAKEFLAGS", "WGETRC",
        "EXINIT", "VIMINIT", "ZIPOPT", "UNZIP", "XZ_OPT", "XZ_DEFAULTS", "GZIP", "BZIP2", "ZSTD_CLEVEL", "INPUTRC", "POSIXLY_CORRECT",
        "EMACSLOADPATH", "DOTNET_STARTUP_HOOKS", "MONO_PATH", "ERL_FLAGS", "R_PROFILE", "JULIA_LOAD_PATH", "SQLITE_HISTORY",
    ],
)  # fmt: skip
def test_no_name_that_a_program_takes_options_commands_or_code_from_passes(name: str) -> None:
    assert variable_problem(name, "x")
    assert not variable_problem(f"MY_{name}", "x")
