"""The style sheet of the pages: light and dark, down to the width of a phone, and on paper."""

from __future__ import annotations

# The shades of the confusion matrix: the opacity of each of the eight. Letters turn white where the colour is full.
_OPACITY = (0.08, 0.15, 0.24, 0.34, 0.46, 0.6, 0.74, 0.95)
_SHADES = "\n".join(f".s{i} {{ --o: {opacity} }}" for i, opacity in enumerate(_OPACITY, start=1))

STYLE = f"""
:root {{
  color-scheme: light dark;
  --paper: #ffffff; --panel: #f4f6f8; --line: #dfe3e8; --ink: #1b1f24; --soft: #5b6570;
  --link: #1d4ed8; --hit: 37 99 235; --miss: 194 65 12; --wrong: #b43c0a; --right: #1d4ed8; --mark: #2563eb;
  --full: #ffffff;
}}
@media (prefers-color-scheme: dark) {{
  :root {{
    --paper: #14171c; --panel: #1d2229; --line: #333a44; --ink: #e7eaee; --soft: #9aa5b1;
    --link: #8ab4ff; --miss: 217 79 14; --wrong: #ff9d66; --right: #8ab4ff; --mark: #6b9dff;
  }}
}}
* {{ box-sizing: border-box }}
html {{ -webkit-text-size-adjust: 100%; scroll-behavior: smooth }}
body {{ margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "Noto Sans", "Liberation Sans", "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums }}
main {{ max-width: 72.5rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }}
h1 {{ font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere }}
h2 {{ font-size: 1.2rem; line-height: 1.3; margin: 0 0 .75rem }}
h3 {{ font-size: 1rem; line-height: 1.3; margin: 1.25rem 0 .5rem }}
section {{ margin-top: 3rem; scroll-margin-top: 1rem }}
p {{ margin: 0 0 .75rem; max-width: 46rem }}
a {{ color: var(--link) }}
nav {{ display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin-top: 1.25rem; font-size: .9rem }}
.hint {{ color: var(--soft); font-size: .85rem; font-weight: 400 }}
.wrong {{ color: var(--wrong) }}
.right {{ color: var(--right) }}

.figures {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0 0 }}
.figures div {{ background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem }}
.figures dt {{ color: var(--soft); font-size: .85rem }}
.figures dd {{ margin: 0; font-size: 1.5rem; line-height: 1.3; font-weight: 600; white-space: nowrap;
  overflow-wrap: anywhere }}
.figures .hint {{ display: block; white-space: normal; line-height: 1.35 }}
.figures dd small {{ font-size: .95rem; font-weight: 400; color: var(--soft) }}

.figures + p {{ margin-top: 1.25rem }}

.scroll {{ overflow: auto; max-height: 85vh; max-width: max-content; border: 1px solid var(--line);
  border-radius: .5rem }}
/* A matrix of many classes may be wider than the text. */
.scroll:has(.dense) {{ position: relative; left: 50%; transform: translateX(-50%); width: max-content;
  max-width: calc(100vw - 3rem) }}
.scroll + p {{ margin-top: 1rem }}
table {{ border-collapse: separate; border-spacing: 0; font-size: .9rem; line-height: 1.4 }}
th, td {{ padding: .35rem .75rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  overflow-wrap: break-word }}
tbody tr:last-child > * {{ border-bottom: 0 }}
th {{ font-weight: 600 }}
/* The whole head sticks: between cells of fractional width that stick singly, what scrolls below shines through. */
thead {{ position: sticky; top: 0; z-index: 2; background: var(--panel) }}
thead th {{ white-space: nowrap }}
tbody th {{ font-weight: 400; max-width: 22rem }}
td {{ max-width: 44rem }}
#skipped tbody th {{ max-width: 36rem; overflow-wrap: anywhere }}
data {{ white-space: nowrap }}
.number {{ text-align: right; white-space: nowrap }}
.meter {{ display: inline-block; width: 5rem; height: .5rem; margin-right: .6rem; border-radius: .25rem;
  background: var(--line); overflow: hidden }}
.meter span {{ display: block; height: 100%; background: var(--mark) }}

.hit {{ background: rgb(var(--hit) / var(--o, 0)) }}
.miss {{ background: rgb(var(--miss) / var(--o, 0)) }}
{_SHADES}
.s8 {{ color: var(--full) }}
.legend {{ display: grid; gap: .25rem; margin-bottom: .75rem; font-size: .75rem; color: var(--soft) }}
.legend div {{ display: flex }}
.legend .name {{ width: 6.75rem }}
.legend div span:not(.name) {{ width: 2.75rem; padding: .1rem 0; text-align: center; color: var(--ink) }}
.legend div .s8.s8 {{ color: var(--full) }}
.confusion {{ font-size: .8rem }}
.confusion th, .confusion td {{ padding: 0 .3rem; height: 28px; line-height: 28px;
  border-right: 1px solid var(--line) }}
.confusion tr > :last-child {{ border-right: 0 }}
.confusion td {{ min-width: 2.3rem; text-align: center }}
.confusion tbody th {{ position: sticky; left: 0; z-index: 1; background: var(--panel); padding: 0 .6rem }}
.confusion th span {{ display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }}
.confusion tbody th span {{ max-width: 11rem }}
.confusion thead th {{ height: auto; padding: .5rem 0; vertical-align: bottom; font-weight: 400 }}
.confusion thead th span {{ writing-mode: vertical-rl; transform: rotate(180deg); max-height: 9rem; margin: 0 auto;
  line-height: 1.2 }}
.confusion thead .corner {{ position: sticky; left: 0; z-index: 1; padding: .5rem .6rem; background: var(--panel);
  color: var(--soft) }}
.confusion thead .corner span {{ writing-mode: initial; transform: none; line-height: 1.4 }}
.dense {{ font-size: .7rem }}
.dense td {{ min-width: 1.6rem; padding: 0 .15rem }}
.confusion tbody tr:hover th {{ color: var(--link) }}

.beside {{ display: flex; flex-wrap: wrap; gap: 1.5rem 2.5rem; align-items: flex-start }}
.beside > div {{ flex: 1 1 18rem; max-width: 34rem; min-width: 0 }}
.diagram {{ flex: 1 1 20rem; width: 100%; max-width: 26rem; height: auto }}
.diagram text {{ font-size: 12px; fill: var(--soft) }}
.diagram .frame {{ fill: none; stroke: var(--line) }}
.diagram .grid {{ stroke: var(--line) }}
.diagram .ideal {{ stroke: var(--soft); stroke-dasharray: 4 4 }}
.diagram .curve {{ fill: none; stroke: var(--mark); stroke-width: 2 }}
.diagram .whisker {{ stroke: var(--mark); stroke-width: 1.5; opacity: .55 }}
.diagram .point, .diagram .bar {{ fill: var(--mark) }}
details summary {{ cursor: pointer; color: var(--link); font-size: .9rem; margin-bottom: .5rem }}

.gallery {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: 1.25rem .8rem }}
figure {{ margin: 0; font-size: .85rem; line-height: 1.35; min-width: 0 }}
figure .frame {{ display: flex; align-items: center; justify-content: center; height: 128px; margin-bottom: .4rem;
  background: var(--panel); border-radius: .35rem; overflow: hidden }}
figure img {{ max-width: 100%; max-height: 100%; width: auto; height: auto }}
.found {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.5rem 1rem }}
.found .frame {{ height: 20rem; padding: .25rem }}
/* After this line nothing is verified. */
.found .unverified {{ grid-column: 1 / -1; max-width: none; margin: 0; padding-top: .5rem; color: var(--soft);
  border-top: 2px solid var(--ink) }}
/* What the colours over images mean. */
.keys {{ display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .85rem }}
.key {{ display: inline-flex; align-items: center; gap: .4rem }}
.key > span {{ width: 1rem; height: 1rem; border: 1px solid var(--soft); border-radius: .2rem }}
/* Heat: the image and its maps side by side, and the values of the colours. */
.reasons {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(33rem, 100%), 1fr)); gap: 1.75rem;
  align-items: start }}
.maps {{ --columns: 1; display: grid; grid-template-columns: repeat(var(--columns), minmax(0, 12rem)); gap: .5rem;
  margin-top: .4rem }}
.maps img {{ display: block; max-height: none; border-radius: .35rem }}
.maps p {{ margin: .2rem 0 0; max-width: 12rem; overflow-wrap: anywhere }}
.scale {{ display: flex; flex-wrap: wrap; align-items: center; gap: .1rem .4rem; margin: .3rem 0 0; color: var(--soft);
  font-size: .75rem }}
.scale .bar {{ width: 6rem; height: .6rem; border-radius: .3rem;
  background: linear-gradient(to right, rgb(0 114 178), #ececec, rgb(213 94 0)) }}
.reason .hint {{ margin: .5rem 0 .25rem }}
.strips {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .4rem .75rem }}
.strips img {{ display: block; max-height: none; border-radius: .2rem }}
.strips p {{ margin: .1rem 0 0; font-size: .75rem; overflow-wrap: anywhere }}
.near-images {{ grid-template-columns: repeat(auto-fill, minmax(4.5rem, 1fr)) }}
td a {{ color: inherit }}
h3, .reason {{ scroll-margin-top: 1rem }}
h3:target, .reason:target {{ outline: 2px solid var(--mark); outline-offset: .35rem; border-radius: .1rem }}
/* A word: the mean of its patches, and eight of them; the lines between these are drawn over them. */
.words {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(18rem, 100%), 1fr)); gap: 1.75rem 1.5rem;
  align-items: start }}
.word .patches {{ display: flex; align-items: flex-start; gap: .5rem; margin-bottom: .4rem }}
.word .patches img {{ display: block; max-height: none; width: 100% }}
.word .mean {{ flex: 0 0 5rem; border-radius: .35rem; overflow: hidden }}
.word .near {{ --columns: 4; --rows: 2; position: relative; flex: 0 1 auto }}
.word .near::after {{ content: ""; position: absolute; inset: 0; background:
  linear-gradient(to right, transparent calc(100% - 2px), var(--paper) 0) 0 0 / calc(100% / var(--columns)) 100%,
  linear-gradient(to bottom, transparent calc(100% - 2px), var(--paper) 0) 0 0 / 100% calc(100% / var(--rows)) }}
.word figcaption b {{ margin-right: .35rem }}
.word figcaption .hint {{ display: block }}
.word details {{ margin-top: .25rem }}
.word summary {{ font-size: .8rem; margin: 0 }}
.word table {{ font-size: .75rem; margin-top: .35rem; width: 100% }}
.word th, .word td {{ padding: .15rem .4rem }}
/* A finding: what is said of it, and its images beside that. */
.findings {{ --images: 1; display: grid; gap: 1rem; align-items: start; grid-template-columns:
  repeat(auto-fill, minmax(min(12rem + var(--images) * 8.5rem, 100%), 1fr)) }}
.finding {{ display: flex; flex-wrap: wrap; gap: .5rem 1rem; padding: .75rem; border: 1px solid var(--line);
  border-radius: .5rem; min-width: 0 }}
.finding .said {{ flex: 1 1 11rem; min-width: 0; font-size: .9rem; line-height: 1.4; overflow-wrap: anywhere }}
.finding .said p {{ margin: .35rem 0 0 }}
.finding .shown {{ flex: 0 1 auto; display: flex; flex-wrap: wrap; gap: .5rem; max-width: 100% }}
.finding figure {{ width: 8rem; font-size: .75rem }}
.finding .frame .hint {{ padding: .5rem }}
.finding .score {{ color: var(--soft); font-size: .85rem }}
.mark {{ display: none; width: 1.1rem; height: 1.1rem; margin: 0 .5rem 0 0; vertical-align: -.15rem;
  accent-color: var(--mark) }}
.marking .mark {{ display: inline-block }}
.marking section {{ scroll-margin-top: 7rem }}
.more {{ margin-top: 1rem }}
.tools {{ position: sticky; top: 0; z-index: 3; display: flex; flex-wrap: wrap; align-items: center; gap: .4rem .75rem;
  margin-top: 1rem; padding: .5rem 0; background: var(--paper); border-bottom: 1px solid var(--line);
  font-size: .9rem }}
.tools input, .tools button, .tools textarea {{ font: inherit; color: inherit; background: var(--panel);
  border: 1px solid var(--line); border-radius: .35rem; padding: .25rem .6rem }}
.tools button:not(:disabled) {{ cursor: pointer; border-color: var(--soft) }}
.tools button:disabled {{ color: var(--soft) }}
.tools textarea {{ flex: 1 0 100%; min-width: 0; font: .75rem/1.4 ui-monospace, monospace }}
[hidden] {{ display: none !important }}
figcaption {{ overflow-wrap: anywhere }}
.path {{ display: block; color: var(--soft); font-size: .75rem; overflow-wrap: anywhere }}
code, pre {{ font: .85em/1.5 ui-monospace, "Cascadia Mono", Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono",
  monospace; overflow-wrap: anywhere; white-space: pre-wrap }}

@media (max-width: 40rem) {{
  main {{ padding: 1.25rem .9rem 3rem }}
  .figures {{ grid-template-columns: 1fr 1fr; gap: .5rem }}
  .figures dd {{ font-size: 1.25rem }}
  .confusion tbody th span {{ max-width: 6rem }}
  .meter {{ display: none }}
  th, td {{ padding: .35rem .27rem }}
  #skipped tbody th {{ max-width: 12rem }}
  .legend div span:not(.name) {{ flex: 1; width: auto }}
  .finding .shown {{ width: 100% }}
  .finding figure {{ width: calc((100% - 1rem) / 3) }}
  .finding .frame {{ height: auto; aspect-ratio: 1 }}
  .tools {{ font-size: .8rem; gap: .4rem }}
  .tools label {{ flex: 1 0 100%; display: flex; gap: .4rem; align-items: center }}
  .tools label input {{ flex: 1; min-width: 0 }}
  #classes thead th {{ white-space: normal; vertical-align: bottom }}
  #classes table {{ font-size: .8rem }}
  #classes td:last-child:not(.number) {{ min-width: 5.25rem }}
  #classes th:first-child {{ position: sticky; left: 0; max-width: 9rem; background: var(--paper) }}
  #classes thead th:first-child {{ background: var(--panel) }}
}}
@media print {{
  .scroll {{ max-height: none; overflow: visible }}
  nav, .tools {{ display: none }}
  figure, tr {{ break-inside: avoid }}
  * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact }}
}}
"""
