"""What is taken for a secret, and what is not."""

from __future__ import annotations

import logging

import pytest

from reel.errors import DamagedObject, UserError
from reel.log_lines import MaskingFormatter
from reel.masking import is_secret, masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:hunter22@host:5000/x", "http://me:***@host:5000/x"),
        ("postgresql://me:p@ss@host/db?a=1", "postgresql://me:***@host/db?a=1"),
        ("sftp://:hunter22@host", "sftp://:***@host"),
        ("see https://h/x?token=abc&page=2 and http://a:b@c", "see https://h/x?token=***&page=2 and http://a:***@c"),
        ("https://h/x?sslpassword=abc", "https://h/x?sslpassword=***"),
        ("https://me@host/x", "https://me@host/x"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("s3://bucket/folder", "s3://bucket/folder"),
        ("a ratio of 4:3@2x", "a ratio of 4:3@2x"),
    ],
)
def test_addresses(text, shown):
    assert masked(text) == shown


@pytest.mark.parametrize(
    "name",
    [
        *(
            "HF_TOKEN",
            "MLFLOW_TRACKING_PASSWORD",
            "MLFLOW_TRACKING_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID",
        ),
        *("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_KEY", "OPENAI_API_KEY"),
        *("PGPASSWORD", "DJANGO_SECRET_KEY", "api_key", "password", "FSSPEC_SFTP_PASSWORD"),
    ],
)
def test_names_of_secrets(name, monkeypatch):
    assert is_secret(name)
    monkeypatch.setenv(name, "s3cr3t-s3cr3t")
    assert masked("before s3cr3t-s3cr3t after") == "before *** after"


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "HF_HOME", "SSH_AUTH_SOCK", "tokens", "key", "seed", "PATH"])
def test_names_of_other_things(name):
    assert not is_secret(name)


def test_short_values_are_no_secrets(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "true")
    assert masked("it is true") == "it is true"


def test_messages_and_log_lines(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "s3cr3t-s3cr3t")
    error = DamagedObject("is s3cr3t-s3cr3t", fix="no s3cr3t-s3cr3t")
    assert str(error) == "is ***\nfix: no ***"
    assert error.args == ("is ***",)
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "it is %s", ("s3cr3t-s3cr3t",), None)
    assert MaskingFormatter("%(message)s").format(record) == "it is ***"
    with pytest.raises(UserError, match=r"^http://me:\*\*\*@host"):
        raise UserError("http://me:hunter22@host")
