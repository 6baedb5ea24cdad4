"""The style of every page: reports, and the page of a run.

Called by page.py and by orchestrator/views/page. A page names nothing outside itself, follows the
reader's light or dark scheme, is read on 420 pixels, and prints.
"""

from __future__ import annotations

from engines.shared.reporting.look import css

NARROW = "@media(max-width:40rem)"
"""A phone."""

STYLE = (
    css()
    + """body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.45rem;line-height:1.3;margin:.2rem 0 .6rem}
h2{font-size:1.1rem;margin:2.2rem 0 .5rem}
h3{font-size:1rem;margin:1.4rem 0 .3rem}
p,ul,ol,figcaption{max-width:50rem}
a{color:var(--run)}
.what{font-size:.88rem;opacity:.8;margin:0;max-width:none}
.lead{font-size:1.12rem}
.limit{border-left:3px solid var(--c2);padding-left:.8rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.9rem}
td,th{padding:.3rem .45rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
td.words{white-space:normal;min-width:9rem}
th{white-space:normal;vertical-align:bottom;font-weight:600}
th[title],abbr[title]{text-decoration:underline dotted;text-underline-offset:.2em;cursor:help}
td:first-child,th:first-child{text-align:left}
.many td,.many th{padding:.25rem .3rem;font-size:.8rem}
tr.task td{opacity:.75}
tr.task td:first-child{padding-left:1.6rem}
tr.macro td,tr.sum td{font-weight:600}
figure{margin:1.2rem 0;overflow-x:auto}
figure svg{max-width:100%;height:auto}
figcaption,li{font-size:.9rem}
h1,h2,h3,p,li,summary{overflow-wrap:anywhere}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.8rem;margin:.4rem 0}
article{border-top:1px solid var(--line);padding:.7rem 0}
article pre{background:#8881;padding:.4rem .6rem;border-radius:4px}
.two{display:grid;grid-template-columns:1fr 1fr;gap:1rem;font-size:.9rem}
.two>div{min-width:0}
.drawn svg{vertical-align:middle}
.read{font-size:.85rem;opacity:.8;margin:.2rem 0}
details{border-top:1px solid var(--line)}
summary{cursor:pointer;padding:.6rem 0;font-weight:600}
details[open]{padding-bottom:.8rem}
"""
    # A figure whose words would be too small to read keeps its size, and moves sideways.
    + NARROW
    + """{body{margin:1rem auto;padding:0 .8rem}.two{grid-template-columns:1fr}
.later{display:none}figure svg{max-width:none}figure.fits svg{max-width:100%}
.wide td:first-child,.wide th:first-child{position:sticky;left:0;background:Canvas}
td,th{padding:.3rem .3rem}table{font-size:.85rem}.drawn svg{width:5rem;height:auto}
.finding td,.finding th{padding:.3rem .15rem;font-size:.8rem}}
@media print{html{font-size:11px}body{max-width:none;margin:0;font-size:1rem}
.wide,figure{overflow:visible}
tr,figure,article{break-inside:avoid}h2,h3{break-after:avoid}
thead{display:table-header-group}a{color:inherit}figure svg{max-width:100%}
.wide td,.wide th{white-space:normal}}
"""
)
