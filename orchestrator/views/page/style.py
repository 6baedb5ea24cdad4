"""The style of a run's page, added to that of the reports."""

from __future__ import annotations

from engines.shared.reporting.style import NARROW

PAGE_STYLE = (
    "body{max-width:74rem}svg{font:12px system-ui,sans-serif}"
    ".keep svg{max-width:none}.on-wide svg{max-width:100%;height:auto}\n"
    "svg text{fill:currentColor}svg .small{opacity:.8}svg .name{font-weight:600}\n"
    ".ok{fill:var(--ok);color:var(--ok)}.run{fill:var(--run);color:var(--run)}"
    ".wait{fill:var(--wait);color:var(--wait)}\n"
    ".bad{fill:var(--bad);color:var(--bad)}.odd{fill:var(--odd);color:var(--odd)}"
    ".none{fill:var(--none);color:var(--none)}\n"
    "rect.ok,.bar .ok{opacity:.8}.deaths{list-style:none;padding:0}"
    ".deaths li{border-left:3px solid var(--bad);padding-left:.8rem;margin:.8rem 0}"
    ".deaths p{margin:.1rem 0}\n"
    ".faint{opacity:.35}.thin{opacity:.8}.box{fill:Canvas;stroke:var(--none)}"
    ".grid{stroke:var(--line)}\n"
    ".edge{fill:none;stroke:var(--none)}.edge.gate{stroke-dasharray:5 4}"
    ".edge-tip{fill:var(--none)}\n"
    ".bar{display:flex;gap:2px;height:.6rem;border-radius:.3rem;overflow:hidden;"
    "margin:1rem 0 .4rem}"
    ".bar i{background:currentColor;min-width:2px}\n"
    ".pills{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;padding:0;margin:0;list-style:none}\n"
    ".pills b{font-variant-numeric:tabular-nums}\n"
    ".plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr));"
    "gap:.5rem 1.5rem}.plots figure{margin:.5rem 0}.plots svg{max-width:100%}\n"
    ".left td,.left th{text-align:left;white-space:normal;overflow-wrap:anywhere;"
    "vertical-align:top}\n"
    ".left th,.left td:first-child{overflow-wrap:break-word}\n"
    ".left td:nth-child(2){white-space:nowrap}\n"
    ".cells td,.cells th{text-align:left;vertical-align:top}"
    ".cells .number{text-align:right}"
    ".cells .text{white-space:normal;min-width:min(26rem,40vw);overflow-wrap:anywhere}"
    ".cells table{width:auto}.cells td,.cells th{padding-right:1.1rem}\n"
    ".settings td,.settings th{text-align:right}.settings td:last-child{text-align:left}\n"
    # The colours of states stand out too little where they are faint.
    ".key.read{opacity:1}.key span{margin-right:1.2rem;white-space:nowrap;display:inline-block}\n"
    "footer{margin-top:3rem;font-size:.85rem;opacity:.8;overflow-wrap:anywhere}\n"
    ".on-narrow{display:none}"
    + NARROW
    + "{.on-wide{display:none}.on-narrow{display:block}.on-narrow svg{max-width:100%;height:auto}"
    ".cells .text{white-space:nowrap}"
    ".left td:first-child{overflow-wrap:anywhere;min-width:6.5rem}"
    ".left td:nth-child(2){white-space:normal;overflow-wrap:anywhere;min-width:8.5rem}}\n"
    # On paper nothing is moved sideways.
    "@media print{.cells .text{white-space:normal;min-width:0}.later{display:none}"
    ".cells td,.cells th{padding-right:.5rem}}\n"
)
