"""The style of the HTML report, for screens from 320 pixels wide and for paper.

Guarantees: text has a contrast of at least 4.5 to 1 and what is drawn 3 to 1, light or dark; the
page loads nothing; the style's digest is what the page's own policy lets through.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--ink:#12181f;--soft:#4a5560;--paper:#fff;--band:#f1f4f7;
--rule:#8a949e;--link:#0b4f9e;--good:#00623a;--warn:#8a4b00;--bad:#a61b1b;--lane:#e3e8ed}
@media (prefers-color-scheme:dark){:root{--ink:#eef2f5;--soft:#b9c3cc;--paper:#14191e;
--band:#1f262d;--rule:#8a949e;--link:#8ec5ff;--good:#6fdca6;--warn:#ffc26b;--bad:#ff9c94;
--lane:#313a43}}
*{box-sizing:border-box}
html{font:1rem/1.5 system-ui,"Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif;
color:var(--ink);background:var(--paper)}
body{margin:0;overflow-wrap:anywhere}
header,main,footer{max-width:54rem;margin:0 auto;padding:0 1rem}
header p{margin:1rem 0 .5rem;color:var(--soft)}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-100rem;padding:.75rem 1rem;background:var(--paper);z-index:1}
.skip:focus{left:0;top:0}
nav{margin-top:1.5rem}
nav ul{margin:0;padding:0;list-style:none;display:flex;flex-wrap:wrap;gap:0 1.25rem}
nav a{display:inline-block;padding:.25rem 0}
h1{font-size:1.75rem;line-height:1.25;margin:0}
h1 strong{display:block;font-size:2.25rem;letter-spacing:.02em}
h2{font-size:1.375rem;line-height:1.3;margin:2.5rem 0 .75rem;border-top:1px solid var(--rule);
padding-top:1rem}
h3{font-size:1.125rem;margin:1.5rem 0 .5rem}
p,ul,ol,dl{margin:.75rem 0}
li{margin:.25rem 0}
.verdict{display:flex;gap:1.25rem;border:2px solid var(--tone);border-left-width:.75rem;
padding:1.25rem}
.verdict h1 strong{color:var(--tone)}
.verdict svg{flex:none;width:3.5rem;height:3.5rem;color:var(--tone)}
.good{--tone:var(--good)}.warn{--tone:var(--warn)}.bad{--tone:var(--bad)}
dl{display:grid;grid-template-columns:minmax(7rem,14rem) 1fr;gap:.35rem 1rem}
dt{font-weight:600}dd{margin:0;min-width:0}
code,pre{font-family:ui-monospace,"Liberation Mono",Consolas,monospace;font-size:.9em}
pre{white-space:pre-wrap;background:var(--band);border:1px solid var(--rule);padding:.75rem}
.table{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:.75rem 0}
caption{text-align:left;font-weight:600;padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem .4rem 0;
border-bottom:1px solid var(--rule)}
tbody th{font-weight:400}
thead th{overflow-wrap:normal;white-space:nowrap}
.places td:first-of-type{width:42%}
.numbers td{width:30%}
figure{margin:1rem 0;padding:1rem;background:var(--band)}
figcaption{font-weight:600}
.lane{margin:.75rem 0}
.lane p{margin:0 0 .25rem}
.lane svg{display:block;width:100%;height:1.75rem;border:1px solid var(--rule);
background:var(--lane)}
.lane .whole{fill:var(--soft)}.lane .same{fill:var(--good)}
.lane .wrong{stroke:var(--bad);fill:var(--bad)}
.ends{display:flex;justify-content:space-between;color:var(--soft);margin:0}
footer{margin-top:2.5rem;padding-bottom:2rem;color:var(--soft)}
@media (max-width:40rem){.verdict{display:block;padding:1rem}.verdict svg{width:2.5rem;
height:2.5rem}h1{font-size:1.375rem}h1 strong{font-size:1.75rem}dl{display:block}
dd{margin:0 0 .6rem}}
@media print{:root{color-scheme:light;--ink:#000;--soft:#333;--paper:#fff;--band:#fff;
--rule:#666;--link:#000;--good:#00623a;--warn:#8a4b00;--bad:#a61b1b;--lane:#e3e8ed}
@page{size:A4;margin:18mm 15mm}html{font-size:10.5pt}nav,.skip{display:none}
header,main,footer{max-width:none;padding:0}.table{overflow:visible}
h2,h3,caption{break-after:avoid}tr,figure,.verdict,li{break-inside:avoid}
thead{display:table-header-group}.verdict,.lane svg{print-color-adjust:exact;
-webkit-print-color-adjust:exact}}
"""

#: Nothing may be loaded, run or sent; this style alone applies.
POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
)
