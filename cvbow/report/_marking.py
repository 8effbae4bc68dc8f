"""Findings of a page that are searched for, marked, and copied as CSV."""

from __future__ import annotations

from cvbow.report._html import escape

# What is marked and what is shown is known by the page alone: no line of it goes anywhere but to the clipboard.
SCRIPT = """
"use strict";
const main = document.querySelector("main");
const [tools, find, state, mark, copy, copied] =
  ["tools", "find", "state", "mark", "copy", "copied"].map(id => document.getElementById(id));
const found = [...main.querySelectorAll(".finding, .more tbody tr")].map(element => ({
  element,
  box: element.querySelector(".mark"),
  text: element.textContent.toLowerCase(),
  section: element.closest("section"),
}));
const sections = [...new Set(found.map(each => each.section))];
const marked = () => found.filter(each => each.box && each.box.checked);
const shown = () => found.filter(each => !each.element.hidden);
function count() {
  const n = marked().length;
  state.textContent = `${shown().length} of ${found.length} shown, ${n} marked`;
  copy.disabled = !n;
}
function search() {
  const words = find.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const each of found) each.element.hidden = !words.every(word => each.text.includes(word));
  const left = new Set(shown().map(each => each.section));
  for (const section of sections) section.hidden = !left.has(section);
  if (words.length) for (const more of main.querySelectorAll("details.more")) more.open = true;
  count();
}
async function copyMarked() {
  const text = [copy.value, ...marked().map(each => each.box.value)].join("\\n") + "\\n";
  copied.value = text;
  try {
    await navigator.clipboard.writeText(text);
    copied.hidden = true;
    state.textContent = `${marked().length} copied`;
  } catch {
    copied.hidden = false;
    copied.select();
    state.textContent = "Press Ctrl+C to copy what is selected";
  }
}
main.classList.add("marking");
tools.hidden = false;
find.addEventListener("input", search);
main.addEventListener("change", event => { if (event.target.matches(".mark")) count(); });
mark.addEventListener("click", () => {
  const boxes = shown().map(each => each.box).filter(Boolean);
  const value = !boxes.every(box => box.checked);
  for (const box of boxes) box.checked = value;
  count();
});
copy.addEventListener("click", copyMarked);
search();
"""


def tools(head: str) -> str:
    """Return HTML of what searches, marks and copies; a line of CSV is the head of what is copied."""
    return f"""<div class="tools" id="tools" role="search" hidden>
<label>Find <input type="search" id="find" placeholder="file, class, reason"></label>
<button type="button" id="mark">Mark shown</button>
<button type="button" id="copy" value="{escape(head)}" disabled>Copy marked as CSV</button>
<span class="hint" id="state" role="status"></span>
<textarea id="copied" rows="4" readonly hidden aria-label="The marked findings as CSV"></textarea>
</div>"""


def mark_box(line: str, what: str) -> str:
    """Return the box that marks what a line of CSV says; nothing where HTML cannot hold the line."""
    value = escape(line)
    # A name whose bytes are no text has another character in their place: it would name another file.
    if "\ufffd" in value:
        return ""
    return f'<input type="checkbox" class="mark" value="{value}" aria-label="mark {escape(what)}">'
