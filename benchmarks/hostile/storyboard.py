"""Bad inputs of `storyboard`: stories, files, shots, writers and music; nothing is fetched, drawn or asked."""

from __future__ import annotations

from benchmarks.hostile.case import Case, case
from benchmarks.hostile.made import file, folder, picture, together

MODEL = "write=openai_compatible write.openai_compatible.url="
FILM = "storyboard model=ltx_2b approve=yes keyframe=picture width=64 height=64"
HEAD = "title: x\nshots:\n"
OWN = "  - {picture: a.png, motion: she waves}\n"
LONG = "a" * 5000
EDIT = "storyboard model=ltx_2b approve=yes keyframe=qwen_image_edit width=256 height=256 shots=s.yaml"
MIRA = "characters: [{name: Mira, words: a girl, pictures: [%s]}]\n"


def story(text: str, *said: str, more: str = "") -> Case:
    """A storyboard file with that text, beside a picture."""
    made = together(picture("a.png", (96, 96)), file("s.yaml", text), file("words.txt", "no music"))
    return case(f"{FILM} shots=s.yaml {more}", *said, make=made)


STORYBOARD = [
    case(f"{FILM}", "story: there is none", "shots=story.yaml"),
    case(f"{FILM} story=", "story: there is none"),
    case(f"{FILM} 'story=   '", "story: there is none"),
    case(f"{FILM} story=...", "story: there are no words in it", "A girl finds a lantern"),
    case(f"{FILM} shots=s.yaml", "shots.1.picture", "of it away",
         make=together(picture("a.png", (900, 60)), file("s.yaml", HEAD + OWN))),
    case(f"{FILM} story=@nowhere.txt", "story=@nowhere.txt: cannot read the file"),
    case(f"{FILM} story={'b' * 30_000}", "story", "30000 characters"),
    case(f"{FILM} shots=nowhere.yaml", "nowhere.yaml does not exist"),
    case(f"{FILM} shots=/dev/zero", "/dev/zero is not a regular file"),
    case(f"{FILM} shots=d", "d is a folder", make=folder("d")),
    case(f"{FILM} shots={LONG}", "5000 bytes, at most 255"),
    case(f"{FILM} shots=s.yaml", "is not UTF-8 at byte 0", make=file("s.yaml", b"\xff\xfea")),
    case(f"{FILM} shots=s.yaml", "at most 1048576", make=file("s.yaml", b"a" * (2 << 20))),
    case(f"{FILM} story=a shots=s.yaml", "story and shots both say what the film is"),
    case(f"{FILM} count=0 story=a", "count: must be greater than or equal to 1"),
    case(f"{FILM} count=500 story=a", "count: must be less than or equal to 240"),
    case("storyboard model=sd15 story=a", "model: the chosen one has no advice"),
    case(f"{FILM} keyframe=flx story=a", "keyframe=flx: no such choice", "flux"),
    case(f"{FILM} write=gpt story=a", "write=gpt: no such choice"),
    case(f"{FILM} write=template write.template.style=x story=a", "write.template.style: is not set there"),
    case(f"{FILM} {MODEL}ftp://x story=a", "must be the address of a server"),
    case(f"{FILM} {MODEL}https://api.openai.com/v1 story=a", "needs a key, and there is none", "export OPENAI_API_KEY",
         env={"OPENAI_API_KEY": None, "WRITER_API_KEY": None}),
    case(f"{FILM} approve=maybe story=a", "approve: must be 'ask' or 'yes'"),
    case(f"{FILM} animate.two_pass=true story=a", "animate.two_pass: shots of a storyboard are made in one pass"),
    case(f"{FILM} height=null story=a", "width and height: give both, or neither"),
    story(HEAD + OWN.replace("}", ", speed: 2, film_seconds: 1}"), "speed and film_seconds both say how fast"),
    story(HEAD + OWN.replace("}", ", speed: 20}"), "shots.1.speed: must be less than or equal to 10"),
    story(HEAD + OWN.replace("}", ", gain: loud}"), "shots.1.gain: must be a valid number"),
    story("", "s.yaml:1:1: is not a storyboard"),
    story("shots: []", "s.yaml:1:8: shots: a film has 1 to 240 shots, there is no shot"),
    story(HEAD + OWN * 500, "there are 500 shots: make several films of them"),
    story(HEAD + "  - motion: she waves\n", "s.yaml:3:5: shots.1: a shot needs words"),
    story(HEAD + "  - prompt: ''\n", "shots.1: a shot needs words"),
    story(HEAD + "  - {prompt: a, promt: b}\n", "s.yaml:3:17: unknown key 'shots.1.promt'; nearest: prompt"),
    story(HEAD + "  - prompt: a girl\n", "s.yaml:3:5: shots.1: it has no picture of its own", "picture: key.png"),
    story(HEAD + OWN.replace("a.png", "b.png"), "s.yaml:3:15: shots.1.picture: there is no file"),
    story(HEAD + OWN.replace("a.png", "words.txt"), "s.yaml:3:15: shots.1.picture"),
    story(HEAD + OWN + "    seed: 1\n", "s.yaml:4:5: "),
    story(HEAD + OWN + "  - {picture: a.png, motion: b, transition: wipe}\n", "s.yaml:4:45: shots.2.transition.kind"),
    story(HEAD + OWN + "  - {picture: a.png, motion: b, transition: {kind: crossfade, seconds: 9}}\n",
          "shots.", "its transitions take"),
    story(HEAD + "  - {picture: a.png, motion: b, transition: crossfade}\n", "nothing before it to crossfade from"),
    story(HEAD + "  - {picture: a.png, motion: b, seconds: 60}\n", "s.yaml:3:42: shots.1.seconds: 60 s are 1440"),
    story(HEAD + "  - {picture: a.png, motion: b, frames: 10}\n", "s.yaml:3:41: shots.1.frames: model ltx_2b"),
    story(HEAD + "  - {picture: a.png, motion: b, sound: words.txt}\n", "s.yaml:3:40: shots.1.sound"),
    story(HEAD + "  - {picture: a.png, motion: b, model: ltx_9b}\n", "s.yaml:3:40: shots.1.model", "no such choice"),
    story(HEAD + "  - {picture: a.png, motion: b, animate: {steps: 3}}\n", "s.yaml:3:33: shots.1.animate"),
    story(HEAD + OWN, "film.music.file", more="film.music.file=words.txt"),
    story(HEAD + OWN, "film.music.file", more="film.music.file=nowhere.mp3"),
    story(HEAD + OWN, "shots.2: there is no such shot", more="shots.2.seed=1"),
    story(HEAD + OWN, "shots.0: there is no such shot", more="shots.0.seed=1"),
    story(HEAD + OWN, "shots.intro: no shot has that name", more="shots.intro.seed=1"),
    story(HEAD + OWN, "unknown key 'shots.1.sed'", more="shots.1.sed=1"),
    case(EDIT, "s.yaml:3:5: shots.1: keyframe qwen_image_edit draws from reference pictures", "pictures: [mira.png]",
         make=file("s.yaml", HEAD + "  - prompt: a girl\n")),
    case(EDIT, "characters: Mira: pictures: there is no file", make=file(
        "s.yaml", MIRA % "nowhere.png" + HEAD + "  - prompt: Mira\n")),
    case(f"{FILM} shots=s.yaml draw.reference_scale=2", "draw.reference_scale: must be less than or equal to 1",
         make=file("s.yaml", HEAD + "  - prompt: a girl\n")),
]  # fmt: skip
