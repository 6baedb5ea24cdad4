// Text and marks of a page that stand out too little from what lies behind them (WCAG 2.1 AA, 1.4.3
// and 1.4.11). Given to a browser by tests/support/browsing.py; returns a line for each.
(marks) => {
  const rgba = (text) => {
    const found = text.match(/[\d.]+/g);
    return found && text.startsWith("rgb") ? [...found.slice(0, 3).map(Number), found.length > 3 ? Number(found[3]) : 1] : null;
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((one, place) => one * a + below[place] * (1 - a));
  const light = (colour) => {
    const [r, g, b] = colour.map((one) => (one / 255 <= 0.03928 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  // What the browser paints where nobody says anything.
  const canvas = document.createElement("i");
  canvas.style.backgroundColor = "Canvas";
  document.body.append(canvas);
  const ground = rgba(getComputedStyle(canvas).backgroundColor).slice(0, 3);
  canvas.remove();
  // Opacity of a parent holds for all of it, so it is taken with the element's own.
  const seen = (element) => {
    let opacity = 1;
    for (let one = element; one; one = one.parentElement) opacity *= Number(getComputedStyle(one).opacity);
    return opacity;
  };
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour && colour[3] > 0) layers.unshift(colour);
    }
    return layers.reduce((below, colour) => over(colour, below), ground);
  };
  const isShown = (element) => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && element.checkVisibility({ visibilityProperty: true }) && !element.closest("[inert]");
  };
  const faults = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.nodeValue.trim() || /^(SCRIPT|STYLE|NOSCRIPT|OPTION|TITLE)$/i.test(element.tagName) || !isShown(element)) continue;
    texts += 1;
    const style = getComputedStyle(element);
    const isSvg = element instanceof SVGElement;
    const colour = rgba(isSvg ? style.fill : style.color);
    if (!colour) continue;
    // Numbers of a heat map stand on its squares, which are a picture.
    if (isSvg && element.ownerSVGElement.querySelector("image") && /^rgb\((0, 0, 0|255, 255, 255)\)$/.test(style.fill)) continue;
    const below = behind(element);
    const found = ratio(over([...colour.slice(0, 3), colour[3] * seen(element)], below), below);
    const size = parseFloat(style.fontSize);
    const wanted = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (found < wanted) faults.add(`${found.toFixed(2)} ${element.tagName} .${element.getAttribute("class") ?? ""}: ${walker.currentNode.nodeValue.trim().slice(0, 40)}`);
  }
  let drawn = 0;
  for (const [chosen, property] of Object.entries(marks)) {
    for (const element of document.querySelectorAll(chosen)) {
      if (!isShown(element)) continue;
      drawn += 1;
      const colour = rgba(getComputedStyle(element)[property]);
      const below = behind(element.parentElement);
      const found = ratio(over([...colour.slice(0, 3), colour[3] * seen(element)], below), below);
      if (found < 3) faults.add(`${found.toFixed(2)} ${chosen} .${element.getAttribute("class") ?? ""} ${property}`);
    }
  }
  return { texts, drawn, faults: [...faults] };
}
