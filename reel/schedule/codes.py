"""The catalogue of findings: one code per mistake, so that a message, its docs and a test name the same thing.

``python -m reel.schedule.codes`` prints the page docs/schedules/codes.md.
"""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True, slots=True)
class Code:
    """``severity``: error = cannot be used; warning = legal, but surely not meant; note = good to know."""

    severity: str
    title: str
    why: str


GROUPS = {
    "RS0": "The text as a whole",
    "RS1": "Form",
    "RS2": "Keys and places in time",
    "RS3": "Legal, but is it meant?",
    "RS4": "Expressions",
    "RS5": "What a target dialect cannot say",
}

CODES: dict[str, Code] = {
    "RS001": Code(ERROR, "too large", "A schedule is a page of text; more than 4 MiB is something else."),
    "RS002": Code(
        ERROR, "nested too deeply", "No dialect needs more than a few levels; deep nesting is refused early."
    ),
    "RS003": Code(ERROR, "YAML anchors and aliases", "They can blow a small file up to gigabytes; repeat the text."),
    "RS004": Code(ERROR, "nothing here", "The text is empty or holds no key."),
    "RS005": Code(ERROR, "another dialect", "The text is written in another dialect than the one asked for."),
    "RS006": Code(ERROR, "not text", "NUL bytes, lone surrogates or bytes that are not UTF-8."),
    "RS101": Code(
        ERROR, "outer braces", "FizzNodes puts { } around the text itself; with a second pair its JSON breaks."
    ),
    "RS102": Code(ERROR, "single quotes", "JSON knows double quotes only."),
    "RS103": Code(ERROR, "curly quotes", "Word processors and chat windows turn straight quotes into curly ones."),
    "RS104": Code(ERROR, "key without quotes", "This dialect needs its keys in double quotes."),
    "RS105": Code(ERROR, "missing comma", "Two pairs need a comma between them."),
    "RS106": Code(ERROR, "wrong sign between key and value", "A colon in one dialect is an equals sign in another."),
    "RS107": Code(ERROR, "quote never closed", "Everything up to the next quote became part of this text."),
    "RS108": Code(ERROR, "stray text", "This belongs to no key."),
    "RS109": Code(ERROR, "empty place between commas", "A comma too many."),
    "RS110": Code(ERROR, "full-width punctuation", "Full-width signs look right and are other characters."),
    "RS111": Code(
        ERROR, "comment", "This dialect has no comments: its parser stops here (prompt-travel: only a warning)."
    ),
    "RS112": Code(ERROR, "control character in a text", "JSON refuses raw tabs and other control characters."),
    "RS113": Code(ERROR, "bad escape", 'JSON knows \\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX only.'),
    "RS114": Code(ERROR, "list or object as a prompt", "A prompt is one quoted text."),
    "RS115": Code(
        ERROR, "numbers where prompts belong, or the reverse", "The two kinds of schedule go to different inputs."
    ),
    "RS116": Code(
        ERROR, "comma after the last pair", "JSON files end without it (the FizzNodes node removes it itself)."
    ),
    "RS117": Code(ERROR, "text without quotes", "This dialect needs its texts in double quotes."),
    "RS118": Code(ERROR, "bracket not closed", "A value is written key:(value)."),
    "RS119": Code(
        ERROR, "quote inside a quoted text", "The text ends at the inner quote, and the rest breaks the form."
    ),
    "RS120": Code(ERROR, "YAML syntax", "The file is not valid YAML at this place."),
    "RS121": Code(ERROR, "unknown setting", "A typing slip would otherwise do nothing, silently."),
    "RS122": Code(ERROR, "wrong type or value of a setting", "See the allowed values in the message."),
    "RS123": Code(
        ERROR, "something is missing", "A key needs a prompt, a value or a picture, according to its schedule's kind."
    ),
    "RS124": Code(
        ERROR,
        "quotes around the whole schedule",
        "The text is taken as it is typed; quotes for the shell end in the shell, and Hydra's are not needed here.",
    ),
    "RS201": Code(
        ERROR, "not a place in time", "A key is a frame, a range, a percentage, seconds, a timecode or a formula."
    ),
    "RS202": Code(ERROR, "fraction of a frame", "FizzNodes accepts 12.5 as a number and crashes on it afterwards."),
    "RS203": Code(WARNING, "key never reached", "It lies at or beyond the last frame."),
    "RS204": Code(WARNING, "the same key twice", "The last one wins, silently."),
    "RS205": Code(WARNING, "keys out of order", "Some tools sort, one fails, one walks the frames backwards."),
    "RS206": Code(ERROR, "empty or reversed range", "A range a-b covers the frames a to b-1, so b must be larger."),
    "RS207": Code(WARNING, "ranges overlap", "The later one wins from its first frame on."),
    "RS208": Code(WARNING, "first key is not 0", "The frames before it have no entry of their own."),
    "RS209": Code(ERROR, "negative key", "This dialect does not count from the end."),
    "RS210": Code(ERROR, "fraction out of range", "A decimal key is a share of the clip, 0.0 to 1.0."),
    "RS211": Code(ERROR, "malformed range", "One colon, with a start before it."),
    "RS301": Code(
        WARNING, "a fade where a hold was likely", "In this dialect a change takes the WHOLE interval between two keys."
    ),
    "RS302": Code(
        WARNING, "words glued by a line break", "The node deletes line breaks: the words around it become one."
    ),
    "RS303": Code(
        ERROR,
        "missing space drops all later keys",
        "Without one space after the colon this line and every later key become tail text.",
    ),
    "RS304": Code(
        WARNING, "travels back to the start", "prompt-travel always loops: after the last key it returns to the first."
    ),
    "RS305": Code(
        WARNING,
        "prompts of unequal length",
        "CLIP reads 77 tokens at a time; prompts of different chunk counts crash or are padded.",
    ),
    "RS306": Code(
        WARNING,
        "typographic punctuation in a prompt",
        "Curly or full-width signs are other tokens than ( ) : , and weights such as （a：1.2） mean nothing.",
    ),
    "RS307": Code(WARNING, "value out of the parameter's range", "The parameter does not take this value."),
    "RS308": Code(
        WARNING, "hold broken in older versions", "Older AnimateDiff-Evolved shows the NEXT prompt at once after 'a:'."
    ),
    "RS309": Code(
        NOTE,
        "the fade is not linear",
        "AnimateDiff-Evolved mixes each frame from the one before, so a fade is 80 % done half-way.",
    ),
    "RS310": Code(WARNING, "wildcard", "__name__ is replaced by a random line of a file: every run differs."),
    "RS311": Code(WARNING, "--neg twice", "Only the first negative part counts; in pre or app text the node crashes."),
    "RS312": Code(
        ERROR,
        "an empty line drops all later keys",
        "After a line that is not a key, everything else becomes tail text.",
    ),
    "RS313": Code(WARNING, "quotes stay in the prompt", "This dialect takes everything after the colon literally."),
    "RS314": Code(
        WARNING,
        "variable without a value",
        "pw_a to pw_d are inputs of the node; here they are 0 unless set under 'variables'.",
    ),
    "RS315": Code(
        WARNING, "old form of the file", "Newer versions refuse 'prompt' and 'base'; the keys moved to prompt_map."
    ),
    "RS316": Code(
        WARNING, "text after a second colon is dropped", "The node keeps what is between the first two colons."
    ),
    "RS317": Code(WARNING, "picture not found", "The file does not exist, as seen from the schedule's folder."),
    "RS318": Code(
        ERROR,
        "prompt syntax that is not supported",
        "LoRA tags, wildcards, prompt editing and BREAK belong to other programs; a bracket needs its partner.",
    ),
    "RS319": Code(
        WARNING,
        "a transition with nothing after it",
        "A transition leads from its key to the next one; on the last key it does nothing, unless the schedule loops.",
    ),
    "RS320": Code(
        WARNING,
        "a line that begins like a key, without its colon",
        "A line that begins with a number and a space, and has no colon, is not a key: it becomes head or tail text.",
    ),
    "RS321": Code(
        WARNING,
        "infotext of the web UI",
        "Its negative prompt is taken as the negative; its parameters are settings of their own and are left out.",
    ),
    "RS322": Code(
        WARNING,
        "-- neg with a blank",
        "Only --neg in one piece begins the negative part: what follows a blank stays in the positive prompt.",
    ),
    "RS323": Code(
        WARNING,
        "prompts of regions left out",
        "A schedule has prompts for the whole picture; regions stand under regions.",
    ),
    "RS324": Code(
        NOTE,
        "only the prompts are read",
        "The other schedules of a settings file drive things that are not there here.",
    ),
    "RS401": Code(ERROR, "expression cannot be read", "See the message."),
    "RS402": Code(ERROR, "unknown name in an expression", "See the list of variables and functions."),
    "RS403": Code(ERROR, "wrong number of arguments", "See the list of functions."),
    "RS404": Code(ERROR, "not an operator", "A power is ** and a comparison is ==."),
    "RS405": Code(
        ERROR,
        "the letter t is replaced inside names",
        "FizzNodes replaces every t by the frame number: sqrt(t) becomes sqr5(5).",
    ),
    "RS406": Code(
        ERROR, "comma inside a value", "The node splits the text at EVERY comma, also inside a function's brackets."
    ),
    "RS407": Code(
        ERROR,
        "expression undefined at some frame",
        "Division by zero, a logarithm or root of a negative number, or overflow.",
    ),
    "RS408": Code(ERROR, "expression too large", "Length, depth, parts and exponents are bounded."),
    "RS501": Code(WARNING, "transition cannot be written", "The target knows fewer kinds of transition."),
    "RS502": Code(WARNING, "loop cannot be written", "The target cannot travel back to its start, or always does."),
    "RS503": Code(
        NOTE, "places written as frames", "The target knows frame numbers only; they hold for this number of frames."
    ),
    "RS504": Code(
        WARNING,
        "negative prompt cannot be written",
        "The target has one negative for all keys, or none in the schedule.",
    ),
    "RS505": Code(WARNING, "text changed to fit", "The target cannot hold some character."),
    "RS506": Code(WARNING, "pictures cannot be written", "The target has prompts or values only."),
    "RS507": Code(NOTE, "expression written as numbers", "The target has no expressions; every frame got its own key."),
    "RS508": Code(
        NOTE,
        "mixing differs",
        "One tool mixes along a straight line, the other along an arc: the weights are equal, the pictures nearly.",
    ),
    "RS509": Code(
        ERROR,
        "number of frames needed",
        "The target needs frame numbers, and the schedule counts from the end or in percent: add --frames.",
    ),
    "RS510": Code(WARNING, "kind cannot be written", "The target has no form for this kind of schedule."),
}


def docs_link(code: str) -> str:
    return f"docs/schedules/codes.md#{code.lower()}"


def page() -> str:
    """The text of docs/schedules/codes.md."""
    rows = [
        "# Findings of the schedule linter",
        "",
        "`rotoscope schedule lint` names every finding by one of these codes. An **error** means that the schedule",
        "cannot be used (by us, or by the tool it is written for); a **warning** is legal, but surely not meant;",
        "a **note** is good to know. This page is made by `python -m reel.schedule.codes`.",
    ]
    for prefix, title in GROUPS.items():
        rows += ["", f"## {title}"]
        for name, code in CODES.items():
            if name.startswith(prefix):
                rows += ["", f"### {name}", "", f"**{code.title}** ({code.severity}). {code.why}"]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(page(), end="")
