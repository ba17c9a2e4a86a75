"""Writers: the template's rules, and a language model's server with everything that can go wrong about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reel.config import parse
from reel.errors import UserError
from reel.op import Context, get
from reel.store import Store
from reel.story.model import Storyboard
from reel.story.prompts import picture_prompt
from tasks.write import server
from tasks.write.settings import OpenaiCompatible, Template, take
from tasks.write.template import written
from tests.tasks.scripted_server import Reply, Scripted, refused, said, scripted, story

STORY = "A girl finds a lantern. She waves to a ship. The ship turns around."


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits of the writer, which are noted and not waited for; and no key of the machine's own."""
    found: list[float] = []
    monkeypatch.setattr(server, "sleep", found.append)
    for name in (server.KEY, server.OPENAI_KEY, "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return found


def ask(script: Scripted, store: Path, shots: int = 2, **more: Any) -> tuple[Storyboard, dict[str, Any]]:
    ctx = Context(Store(store))
    given = {"story": STORY, "shots": shots, "url": script.url, "model": "small", **more}
    cfg = parse(OpenaiCompatible, given, "write.openai_compatible")
    digest = get("write", "openai_compatible").fn(cfg, {}, ctx)
    return take(ctx.store, digest).board, ctx.facts


def why(store: Path, *replies: Reply, **more: Any) -> str:
    with scripted(*replies) as script, pytest.raises(UserError) as error:
        ask(script, store, **more)
    return str(error.value)


@pytest.mark.parametrize("shots", [1, 2, 3, 4, 10])
def test_the_template_writes_exactly_so_many_shots_and_the_same_again(shots: int):
    board = written(STORY, shots)
    assert len(board.shots) == shots
    assert board == written(STORY, shots)
    assert all(board.characters[0].words in picture_prompt(board, shot) for shot in board.shots)
    told = " ".join(dict.fromkeys(shot.caption or "" for shot in board.shots))
    assert told == STORY  # every sentence, in order, as it is
    assert all(shot.camera and shot.motion for shot in board.shots)


def test_the_template_knows_a_name_and_gives_other_stories_other_looks():
    assert written("Mira waits. Mira waves.", 2).characters[0].name == "Mira"
    assert written("Rain falls on the sea.", 2).characters == []
    looks = {written(f"A girl waits for day {day}.", 1).characters[0].words for day in range(8)}
    assert len(looks) > 4
    for day in range(12):
        board = written(f"A girl waits for day {day}.", 1)
        ground = (board.shots[0].prompt or "").split()[-2]
        assert ground not in board.characters[0].words.split()


@pytest.mark.parametrize(
    ("story", "said"),
    [
        ("A girl with pink hair in a yellow top finds a lantern.", ["pink hair", "yellow top"]),
        ("A woman in a green dress waits.", ["in a green dress"]),
        (
            "A man in red trousers, with short blonde hair and dark skin.",
            ["short blonde hair and dark skin", "red trousers"],
        ),
    ],
)
def test_the_template_keeps_the_look_that_the_story_tells_of(story: str, said: list[str]):
    board = written(story, 2)
    assert all(words in board.characters[0].words for words in said)
    assert " top" not in written("A woman in a green dress waits.", 1).characters[0].words
    assert "white background" in written("A girl waits, white background.", 1).shots[0].prompt


@pytest.mark.parametrize("story", ["...", "!", " ?! "])
def test_the_template_refuses_a_story_without_words(story: str):
    with pytest.raises(UserError, match="story: there are no words in it"):
        written(story, 2)


def test_the_template_takes_what_stories_hold():
    assert len(written("A girl waits. ... She waves.", 3).shots) == 3
    assert len(written(" ".join(["w" * 40] * 8), 1).title) <= 200
    long = "N" + "a" * 70
    assert all(one.name != long for one in written(f"{long} waits. {long} waves.", 1).characters)


def test_the_hero_does_not_take_the_looks_of_others():
    told = "A girl waits. She has pink hair. A man in a green top with black hair comes."
    assert "pink hair" in written(told, 1).characters[0].words
    assert "green top" not in written(told, 1).characters[0].words


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"characters": [{"name": "N" * 70, "words": "a girl"}]}, "name"),
        ({"characters": [{"name": "Mira", "words": "a girl"}] * 2}, "two of them are called Mira"),
        ({"characters": [{"name": f"N{number}", "words": "a girl"} for number in range(14)]}, "characters"),
        ({"style": "水墨画"}, "style: must be in English"),
        ({"characters": [{"name": "Mira", "words": "黒い髪の女の子"}]}, "must be in English"),
    ],
)
def test_an_answer_that_is_no_storyboard_goes_back_to_the_model(tmp_path: Path, change: dict[str, Any], told: str):
    with scripted(said({**story(), **change}), said(story())) as script:
        _, facts = ask(script, tmp_path)
    assert facts["answers"] == 2
    assert told in json.dumps(script.requests[1]["messages"], ensure_ascii=False)


def test_a_model_writes_and_no_key_is_sent_where_there_is_none(tmp_path: Path):
    with scripted(said(story())) as script:
        board, facts = ask(script, tmp_path)
    assert [shot.caption for shot in board.shots] == ["Hello.", "Hello."]
    assert board.characters[0].words == "a girl with long hair"
    (asked,) = script.requests
    assert asked["path"] == "/v1/chat/completions"
    assert asked["response_format"]["json_schema"]["schema"]["properties"]["shots"]["minItems"] == 2
    assert asked["messages"][1] == {"role": "user", "content": STORY}
    assert "Authorization" not in script.headers[0]
    assert (facts["answers"], facts["requests"], facts["completion_tokens"]) == (1, 1, 20)


def test_the_key_comes_from_the_environment_and_is_seen_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    secret = "sk-0123456789abcdef"
    monkeypatch.setenv(server.KEY, secret)
    with scripted(refused(f"{secret} is overloaded", 503), said(f"echo {secret}"), said(story())) as script:
        ask(script, tmp_path)
    assert all(one["Authorization"] == f"Bearer {secret}" for one in script.headers)
    assert "overloaded" in caplog.text
    assert secret not in caplog.text
    assert secret not in why(tmp_path, refused(f"bad key {secret}", 401))
    assert secret not in why(tmp_path, Reply(f"<html>{secret}</html>"))
    assert not any(secret.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_openais_key_goes_to_openai_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(server.OPENAI_KEY, "sk-openai-0123456789")
    with scripted(said(story())) as script:
        ask(script, tmp_path)
    assert "Authorization" not in script.headers[0]
    assert server._headers("https://api.openai.com/v1") == {"Authorization": "Bearer sk-openai-0123456789"}
    assert server._headers("https://api.openai.com.example.org/v1") == {}
    monkeypatch.delenv(server.OPENAI_KEY)
    with pytest.raises(UserError, match=r"needs a key[\s\S]*export OPENAI_API_KEY"):
        server._headers("https://api.openai.com/v1")


@pytest.mark.parametrize(
    ("refusal", "gone", "there"),
    [
        ("response_format of type json_schema is not supported", "response_format", "temperature"),
        ("Unsupported value: 'temperature' must be 1", "temperature", "response_format"),
        ("Use 'max_completion_tokens' instead of 'max_tokens'", "max_tokens", "max_completion_tokens"),
    ],
)
def test_what_a_server_refuses_is_left_out(tmp_path: Path, refusal: str, gone: str, there: str):
    with scripted(refused(refusal), said("not yet"), said(story())) as script:
        _, facts = ask(script, tmp_path)
    assert gone in script.requests[0]
    assert all(gone not in one and there in one for one in script.requests[1:])
    assert facts["left_out"] == [gone]
    in_words = "JSON schema" in script.requests[1]["messages"][0]["content"]
    assert in_words == (gone == "response_format")


def test_an_answer_that_does_not_fit_is_sent_back_with_what_is_wrong(tmp_path: Path):
    answers = [said("Once upon a time"), said(story(shots=3)), said({**story(), "style": 5}), said(story())]
    with scripted(*answers) as script:
        board, facts = ask(script, tmp_path, attempts=4)
    told = [one["messages"][-1]["content"] for one in script.requests[1:]]
    assert "no JSON object" in told[0]
    assert "exactly 2 are asked for, there are 3" in told[1]
    assert "style: must be a valid string" in told[2]
    assert len(board.shots) == 2
    assert facts["answers"] == 4
    assert script.requests[1]["messages"][2] == {"role": "assistant", "content": "Once upon a time"}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (said("I would love to help you with that!"), "no JSON object"),
        (said('{"title": "A"'), "no JSON object"),
        (said('{"title": "A",}'), "not valid JSON"),
        (said("[" * 100_000 + "{}"), "title: a value is needed"),
        (said(story(shots=3)), "exactly 4 are asked for, there are 3"),
        (said(story(4, prompt="女の子が手を振る")), "must be in English"),
        (said(story(4, camera="wobble")), "shots.0.camera"),
        (said(None), "no JSON object"),
    ],
)
def test_a_model_that_cannot_do_it_is_given_up(tmp_path: Path, answer: Reply, told: str):
    message = why(tmp_path, answer, shots=4, attempts=2)
    assert "did not write a storyboard in 2 answers" in message
    assert told in message
    assert "write=template" in message


def test_json_is_found_in_a_talkative_answer(tmp_path: Path):
    text = f"<think>{{hm}}</think>Here you are:\n```json\n{json.dumps(story())}\n```\nEnjoy!"
    with scripted(said(text)) as script:
        assert len(ask(script, tmp_path)[0].shots) == 2


def test_a_cut_answer_is_asked_for_with_more_tokens(tmp_path: Path):
    with scripted(said('{"title', "length"), said(story())) as script:
        ask(script, tmp_path, max_tokens=100)
    assert [one["max_tokens"] for one in script.requests] == [100, 200]
    assert "cut off at 128 tokens" in why(tmp_path, said("{", "length"), max_tokens=64, attempts=2)


@pytest.mark.parametrize(
    "answer", [said(None, refusal="I cannot write about lanterns"), said("", reason="content_filter")]
)
def test_a_refusal_is_told_and_not_argued_with(tmp_path: Path, answer: Reply):
    with scripted(answer) as script, pytest.raises(UserError, match="the model refuses the story"):
        ask(script, tmp_path)
    assert len(script.requests) == 1


def test_what_passes_is_waited_for(tmp_path: Path, waits: list[float]):
    busy = [refused("slow down", 429, Retry_After="7"), refused("loading", 503), refused("", 502)]
    with scripted(*busy, said(story())) as script:
        _, facts = ask(script, tmp_path)
    assert waits == [7.0, 2.0, 4.0]
    assert facts["requests"] == 4
    waits.clear()
    assert "answers 503 (loading)" in why(tmp_path, refused("loading", 503))
    assert waits == [1.0, 2.0, 4.0, 8.0]
    assert "answers 429" in why(tmp_path, refused("later", 429, Retry_After="86400"))  # nobody waits a day
    assert "nothing is left" in why(tmp_path, refused("insufficient_quota", 429))


def test_a_server_that_is_not_there(tmp_path: Path, waits: list[float]):
    with scripted(said(story())) as script:
        url = script.url
    with pytest.raises(UserError, match=r"cannot be reached[\s\S]*llama-server"):
        ask(Scripted([], url=url), tmp_path)
    assert len(waits) == server.TRIES - 1


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply("<html>hello</html>"), "does not answer as OpenAI-compatible servers do"),
        (Reply({"choices": []}), "does not answer as OpenAI-compatible servers do"),
        (Reply([1]), "does not answer as OpenAI-compatible servers do"),
        (refused("model 'small' not found", 404), "knows no such model or address (model 'small' not found)"),
        (refused("no key", 401), "asks for a key (401: no key)"),
        (refused("context is 512 tokens", 400), "refuses the request (400: context is 512 tokens)"),
        (Reply("", 302, {"Location": "http://127.0.0.1:9/"}), "sends elsewhere"),
    ],
)
def test_a_server_of_another_kind(tmp_path: Path, reply: Reply, told: str):
    assert told in why(tmp_path, reply)


def test_an_answer_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "MOST_BYTES", 1 << 20)
    assert "more than 1 MiB" in why(tmp_path, Reply("x" * (2 << 20)))


def test_a_server_that_hangs_is_given_up_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]):
    monkeypatch.setattr(server, "ANSWER", 0.2)
    assert "no answer for 0.2 s" in why(tmp_path, Reply("", hang=1.0))
    assert waits == []


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("url", "ftp://x", "must be the address of a server"),
        ("url", "127.0.0.1:8080", "must be the address of a server"),
        ("url", "http://me:secret@host/v1", "WRITER_API_KEY"),
        ("url", "http://host/v1?api_key=5", "WRITER_API_KEY"),
        ("model", "", "at least 1 character"),
        ("shots", 0, "greater than or equal to 1"),
        ("shots", 500, "less than or equal to 240"),
        ("story", "  ", "must not be empty"),
    ],
)
def test_wrong_settings(key: str, value: Any, told: str):
    given = {"story": STORY, "shots": 2, "url": "http://x/v1", "model": "m", key: value}
    with pytest.raises(UserError) as error:
        parse(OpenaiCompatible, given, "write.openai_compatible")
    assert str(error.value).startswith(f"write.openai_compatible.{key}: ")
    assert told in str(error.value)
    assert "secret" not in str(error.value)
    assert parse(Template, {"story": STORY, "shots": 2}).shots == 2
