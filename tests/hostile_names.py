"""Fifty names of classes, people and files that nobody should have, each of another kind; they must stay text."""

import re
from urllib.parse import quote

from review.markdown import visible
from runtime.litter import is_litter

KINDS = {
    "script": "<script>document.title='ran'</script>",
    "double-quoted attribute": "\"><img src=x onerror=document.title='ran'>",
    "single-quoted attribute": "'><svg onload=document.title='ran'>",
    "attribute": "\" autofocus onfocus=\"document.title='ran'",
    "comment's end": "--><b>",
    "comment's begin": "<!--",
    "template's end": "</template></datalist></select><b>",
    "title's end": "</title></textarea></style><iframe src=about:blank>",
    "base": "<base href=//evil.example><meta http-equiv=refresh content=0>",
    "entity": "&lt;b&gt; &amp;lt; &#60;b&#62;",
    "XML": "<![CDATA[<b>]]> <!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>&e;",
    "PHP": "<?php echo 7 * 7 ?><%= 7 * 7 %>",
    "full-width brackets": "\uff1cscript\uff1edocument.title=\uff07ran\uff07\uff1c\uff0fscript\uff1e",
    "Jinja expression": "{{ 7 * 7 }}",
    "Jinja statement": "{% for each in [1, 2] %}{{ each }}{% endfor %}{# gone #}",
    "JavaScript template": "${7 * 7}`${document.title='ran'}`",
    "JavaScript string": "'; document.title='ran'; '",
    "JavaScript line": "one\u2028document.title='ran'\u2029two",
    "javascript address": "javascript:document.title='ran'",
    "data address": "data:text/html,<b>ran",
    "prototype": "__proto__",
    "constructor": "constructor",
    "no value": "undefined",
    "format string": "%s %(name)s {0.__class__} {name!r}",
    "right to left": "\N{RIGHT-TO-LEFT OVERRIDE}gnp",
    "Hebrew": "\u05e0\u05e2\u05dc abc (1)",
    "zero width": "zero\N{ZERO WIDTH SPACE}width\N{ZERO WIDTH JOINER}",
    "byte order mark": "\ufeffhat",
    "soft hyphen": "ha\N{SOFT HYPHEN}t",
    "combining marks": "h" + "\u0335\u0353\u0489" * 12 + "at",
    "Cyrillic": "h\u0430t",
    "case of other length": "\u0130STANBUL stra\u00dfe \ufb01nch",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e6\U0001f1f9 \U0001f3ff",
    "very long": "long" * 50,
    "leading dots": "...hidden",
    "leading dash": "--help",
    "path": "../../etc/passwd",
    "backslashes": "x\\..\\..\\n\\u003cb\\u003e",
    "lines": "one\r\ntwo\n\tthree",
    "escaped NUL": "%00 \\0 \\x00 &#0; %0d%0aSet-Cookie:%20a=b",
    "percent": "100%2F%zz%",
    "plus and hash": "a+b#c?d=e&f=%20;g",
    "quotes": "\"'`\u00b4\u2018\u2019\u201c\u201d\u00ab\u00bb",
    "SQL": "'; DROP TABLE pictures; --",
    "spreadsheet": "=cmd|'-C calc'!A0",
    "CSV": "+1,\"2\";'3',@SUM(1)",
    "shell": "$(touch ran) `touch ran` ; touch ran | *",
    "YAML": "- !!python/object:os.system [&x a, *x] : ~ # x",
    "Markdown": "[a](javascript:1) | **b** `c` ![](x) @ben #1",
    "git": ":(exclude)*?[a-z]",
}  # fmt: skip
NAMES = tuple(KINDS.values())
# What a file system and the library take: no slash, no control character, nothing hidden.
FOLDERS = tuple(
    name.replace("/", "\N{DIVISION SLASH}")
    for name in NAMES
    if not re.search(r"[\x00-\x1f]", name) and not is_litter(name)
)
PEOPLE = tuple(name for name in FOLDERS if len(name) <= 100)


def address(name: str) -> str:
    return quote(name, safe="")


def as_shown(name: str) -> str:
    """What stands on a page of the desk for a name: what has no glyph is told by its number, spaces run together."""
    return " ".join(visible(name).split())


def require_text(page) -> None:
    """Nothing of a name has become more than text: no element, no handler, no address."""
    made = page.evaluate(
        """[...document.querySelectorAll("*")].filter(each =>
        each.matches("script:not([src^='/static/']), iframe, base, meta[http-equiv], svg[onload], img[src=x], b b")
        || [...each.attributes].some(({ name, value }) => name.startsWith("on") || /^(javascript|data):/.test(value)
        && ["href", "src", "action", "formaction"].includes(name))).map(each => each.outerHTML.slice(0, 200))"""
    )
    assert (page.title() == "ran", made) == (False, [])
