"""Wrong settings are named with the place they stand at: file, line and column in conf/, the column in overrides."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.config.compose import Composed, single
from flows.config.engine import hydra_ready
from flows.config.quoting import literal_overrides
from flows.config.root import Root, project_root
from flows.dance.flow import Dance
from flows.render.schedules import BadSchedules, Compiled, compiled, slots
from reel.errors import UserError
from reel.keys import differences

Fails = Callable[..., str]


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of conf/ to write mistakes into; places are named from the folder above it."""
    shutil.copytree(project_root() / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("local"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "conf"


def composed(conf: Path, *overrides: str) -> Composed[Dance]:
    root = Root("dance", Dance, conf)
    with hydra_ready(root) as engine:
        return single(engine, literal_overrides(overrides, root.keys, multirun=False), overrides)


def message(conf: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        composed(conf, *overrides)
    return caught.value.message


def experiment(conf: Path, text: str) -> str:
    (conf / "experiment" / "dance" / "mine.yaml").write_text(f"# @package _global_\n{text}", encoding="utf-8")
    return "experiment=dance/mine"


FILE = "conf/experiment/dance/mine.yaml"
IN_FILES = [
    ("stylize:\n  strength: 1.5\n", "3:13", "stylize.strength: must be less than or equal to 1"),
    ("stylize:\n  strength: much\n", "3:13", "stylize.strength: must be a number such as 0.5"),
    ("extract:\n  fsp: 8\n", "3:3", "unknown key 'extract.fsp'; nearest: fps"),
    ("seed:\n  - 1\n", "3:3", "seed: must be a valid integer"),
    ("controls:\n  pose:\n    weight:   99   # far too much\n", "4:15", "controls.pose.weight"),
    ("prompt_schedule: '0: red; 24 blue'\n", "2:27", "RS108"),
    ("prompt_schedule:\n  then: blend\n  keys:\n    0: red\n    x9: blue\n", "6:5", "RS201"),
    ("prompt_schedule: {0: red, 12: 'blue (top'}\n", "2:32", "RS318"),
    ("prompt_schedule: |\n  then: hold; 0: red\n  4: green; 12 blue\n", "4:13", "RS108"),
    ('prompt_schedule: "0: red; 4: green\\n12 blue"\n', "2:18>:2:1", "RS108"),
    ("controls:\n  pose:\n    weight_schedule: {0: 1, 50%: 2*sni(t)}\n", "4:36", "RS402"),
    ("strength_schedule: '0: 0.5; 4: 1.5'\n", "2:32", "RS307"),
]


@pytest.mark.parametrize(("text", "place", "says"), IN_FILES, ids=[one[2] for one in IN_FILES])
def test_mistakes_in_conf_files(conf: Path, text: str, place: str, says: str) -> None:
    told = message(conf, experiment(conf, text))
    assert f"{FILE}:{place}" in told
    assert says in told
    assert "^" in told


OVERRIDES = [
    ("controls.pose.weight=99", 22, "controls.pose.weight"),
    ("stylize.num_inference_steps=2.5", 29, "must be a valid integer"),
    ("prompt_schedule=0: red; 24 blue", 25, "RS108"),
    ("controls.pose.weight_schedule=0: 1; 4: 1/0", 40, "RS407"),
    ("controls.pose.weight_schedule=0: 1; 4: 11", 40, "RS307"),
    ("prompt_schedule=kind: value; 0: 1", 30, "RS115"),
]


@pytest.mark.parametrize(("override", "column", "says"), OVERRIDES, ids=[one[0] for one in OVERRIDES])
def test_mistakes_in_overrides(conf: Path, override: str, column: int, says: str) -> None:
    told = message(conf, override)
    assert f"<override>:1:{column}" in told
    assert says in told
    assert override in told


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("strength_schedule=1 - t/8", "RS307"),
        ("controls.pose.weight_schedule=sqrt(7 - t)", "RS407"),
        ("controls.pose.weight_schedule=0: 1; 4: sqrt(7 - t)", "RS407"),
    ],
)
def test_what_a_formula_gives_is_judged_by_the_clips_own_length(conf: Path, override: str, says: str) -> None:
    cfg = composed(conf, override).config
    compiled(slots(cfg), 8, 12.0)
    with pytest.raises(UserError, match=says):
        compiled(slots(cfg), 12, 12.0)


def test_mistakes_of_all_schedules_are_told_at_once(conf: Path) -> None:
    told = message(conf, experiment(conf, "prompt_schedule: '0: red; x9: blue'\n"), "strength_schedule=0: 2")
    assert f"{FILE}:2:27: error RS108" in told
    assert "<override>:1:22: error RS307" in told
    assert pickle.loads(pickle.dumps(BadSchedules([]))).errors == []


def test_the_last_writer_is_the_one_to_tell(conf: Path) -> None:
    mine = experiment(conf, "stylize:\n  strength: 1.5\n")
    assert f"{FILE}:3:13" in message(conf, mine)
    assert "<override>:1:18" in message(conf, mine, "stylize.strength=7")
    text = (conf / "stylize" / "animatediff.yaml").read_text(encoding="utf-8")
    (conf / "stylize" / "animatediff.yaml").write_text(
        text.replace("clip_skip: null", "clip_skip: 99"), encoding="utf-8"
    )
    line = next(i for i, row in enumerate(text.splitlines(), 1) if row.startswith("clip_skip:"))
    assert f"conf/stylize/animatediff.yaml:{line}:12" in message(conf)
    text = (conf / "control" / "pose.yaml").read_text(encoding="utf-8")
    (conf / "control" / "pose.yaml").write_text(f"{text}\nsoft: 3\n", encoding="utf-8")
    assert "conf/control/pose.yaml:" in message(conf, "stylize.clip_skip=1")


def test_yaml_that_cannot_be_read(conf: Path) -> None:
    assert "experiment/dance/mine.yaml:3:1" in message(conf, experiment(conf, "seed: [1\n"))


def test_a_schedule_in_a_file_is_told_at_its_place_there(conf: Path, tmp_path: Path) -> None:
    (tmp_path / "walk.txt").write_text("0: red\n\n8: blue <lora:x:1>\n", encoding="utf-8")
    assert "walk.txt:2:1: error RS312" in message(conf, "prompt_schedule=@walk.txt")
    (tmp_path / "walk.yaml").write_text("# walk\n0: red\n8: blue <lora:x:1>\n", encoding="utf-8")
    for given in ("prompt_schedule=@walk.yaml", experiment(conf, f"prompt_schedule: '@{tmp_path}/walk.yaml'\n")):
        assert "walk.yaml:3:4: error RS318" in message(conf, given)


def arrays(conf: Path, *overrides: str) -> Compiled:
    point = composed(conf, *overrides)
    cfg = point.config
    return compiled(slots(cfg, cfg.stylize.embeddings), 8, 8.0, cfg.seed, cfg.negative_prompt, point.origins)


def test_spelling_and_comments_do_not_matter(conf: Path) -> None:
    short = "prompt_schedule=then: blend; 0: red; 0.5s: blue"
    mine = experiment(conf, "prompt_schedule:  # mine\n  then: blend\n  keys: {0: red, 4: blue}  # half-way\n")
    one, two = arrays(conf, short), arrays(conf, mine)
    assert one.prompts is not None
    assert two.prompts is not None
    assert one.prompts.same(two.prompts)
    assert one.prompts.describe() == "0-0: red; 1-3: red > blue; 4-7: blue"
    first, second = (arrays(conf, f"prompt_schedule={text}") for text in ("0: red; 4: blue", "0:red;4 : blue"))
    assert first.prompts is not None
    assert second.prompts is not None
    assert first.prompts.same(second.prompts)


def test_values_and_the_common_negative(conf: Path) -> None:
    given = ["negative_prompt=blurry", "prompt_schedule=0: red --neg hat; 4: blue", "controls.pose.weight_schedule=t/8"]
    found = arrays(conf, *given, "strength_schedule=[1,1,1,1,0,0,0,0.5]")
    assert found.prompts is not None
    assert found.prompts.texts == (("red", "blurry, hat"), ("blue", "blurry"))
    assert found.values["controls.pose.weight_schedule"] == [i / 8 for i in range(8)]
    assert found.values["strength_schedule"][4:] == [0, 0, 0, 0.5]
    with pytest.raises(UserError, match=r"strength_schedule: 2 values for 8 frames"):
        arrays(conf, "strength_schedule=[1,0]")


INVERSION = "stylize.embeddings={bad: {kind: file, id: bad.safetensors}}"


def test_textual_inversions_stand_in_prompt_schedules(conf: Path) -> None:
    given = ["negative_prompt=embedding:bad", "prompt_schedule=0: red; 4: (embedding:bad:1.2) blue"]
    found = arrays(conf, INVERSION, *given)
    assert found.prompts is not None
    assert found.prompts.texts == (("red", "embedding:bad"), ("(embedding:bad:1.2) blue", "embedding:bad"))


def test_a_textual_inversion_that_there_is_not_is_told_at_its_place(conf: Path) -> None:
    mine = experiment(conf, "prompt_schedule: {0: red, 12: 'embedding:worse'}\n")
    assert f"{FILE}:2:32: error RS318" in message(conf, mine, INVERSION)
    assert "RS318" in message(conf, "prompt_schedule=0: embedding:bad"), "no textual inversions at all"


def test_warnings_are_told_at_their_place(conf: Path, caplog: pytest.LogCaptureFixture) -> None:
    arrays(conf, "prompt_schedule=0: red; 99: blue")
    assert "<override>:1:25: warning RS203" in caplog.text


def test_warnings_of_a_file_name_the_file(conf: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "walk.txt").write_text("girl\n0: red\n6: blue\n", encoding="utf-8")
    arrays(conf, "prompt_schedule=@walk.txt")
    assert "walk.txt:2:1: warning RS301" in caplog.text
    assert "<override>" not in caplog.text
    (tmp_path / "fade.txt").write_text("0:(1), 99:(0.5)", encoding="utf-8")
    arrays(conf, f"strength_schedule=@{tmp_path}/fade.txt")
    assert "fade.txt:1:8: warning RS203" in caplog.text


def test_tags_in_head_and_tail_are_told_at_their_own_lines(conf: Path, tmp_path: Path) -> None:
    lines = "1girl\nnice <lora:x:1> light\n0: red\n8: blue\nsoft (broken light\n"
    (tmp_path / "head.txt").write_text(lines, encoding="utf-8")
    told = message(conf, "prompt_schedule=@head.txt")
    assert "head.txt:2:6: error RS318: in head, tail or negative: a LoRA tag is not supported" in told
    assert "head.txt:5:6: error RS318: in head, tail or negative: '(' has no partner" in told
    mine = experiment(conf, "prompt_schedule:\n  head: best <lora:x:1>\n  keys: {0: red}\n")
    assert f"{FILE}:3:14: error RS318" in message(conf, mine)


INFOTEXT = "a girl in a red top\nNegative prompt: hat, glasses\nSteps: 20, Sampler: Euler a, Seed: 5, Size: 512x512\n"


def test_an_infotext_as_a_prompt(conf: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "info.txt").write_text(INFOTEXT, encoding="utf-8")
    for given in (f"prompt={INFOTEXT}", "prompt=@info.txt"):
        cfg = composed(conf, given, "negative_prompt=blurred").config
        assert (cfg.prompt, cfg.negative_prompt) == ("a girl in a red top", "blurred, hat, glasses")
        assert cfg.seed == 0, "parameters are offered, never taken"
    words = (
        "the same here: stylize.num_inference_steps=20 seed=5 stylize.scheduler=euler_a; without a counterpart: Size"
    )
    assert caplog.text.count(words) == 1
    travelling = INFOTEXT.replace("a girl", "a girl\n0: smiling\n6: crying\nshe is")
    assert "give it as prompt_schedule" in message(conf, f"prompt={travelling}")
    found = arrays(conf, f"prompt_schedule={travelling}")
    assert found.prompts is not None
    assert {negative for _, negative in found.prompts.texts} == {"hat, glasses"}
    assert "Negative prompt" not in str(found.prompts.texts)


def test_another_programs_json_is_no_prompt(conf: Path, tmp_path: Path) -> None:
    """Its names would be words of every picture."""
    (tmp_path / "meta.json").write_text('{"prompt": "a girl in a red top", "steps": 30}\n', encoding="utf-8")
    told = message(conf, "prompt=@meta.json")
    assert "this is JSON, which a program wrote beside a picture" in told
    assert "give the text of its prompt alone: a girl in a red top" in told


def test_lists_of_values_differ_by_their_frames() -> None:
    told = differences({"weights": [1, 1, 0.5, 0.25]}, {"weights": [1, 1, 1, 1]})
    assert told == ["weights[2]: 1 -> 0.5 (2 of 4 differ, 2 to 3)"]
