// Making elements, and changing a drawn part into the next one without losing focus or what the
// reader has opened. Nothing here knows of phones.

const SVG = "http://www.w3.org/2000/svg";

// An HTML element. Attributes that are null or false are left out; true is an empty one.
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// The same for SVG.
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Show `fresh` (an array of nodes) as the children of `element`, keeping every node that can stay.
export function show(element, ...fresh) {
  const wrap = element.cloneNode(false);
  wrap.append(...fresh.flat(3).filter(Boolean));
  children(element, wrap);
}

function morph(old, fresh) {
  const same = old.nodeName === fresh.nodeName
    && old.dataset?.key === fresh.dataset?.key && old.dataset?.act === fresh.dataset?.act;
  if (!same) {
    old.replaceWith(fresh);
  } else if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
  } else {
    attributes(old, fresh);
    children(old, fresh);
    control(old, fresh);
  }
}

function attributes(old, fresh) {
  const kept = old.nodeName === "DETAILS" ? ["open"] : [];
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !kept.includes(name)) old.setAttribute(name, value);
  }
}

function children(old, fresh) {
  const news = [...fresh.childNodes];
  const olds = [...old.childNodes];
  news.forEach((one, n) => (n < olds.length ? morph(olds[n], one) : old.append(one)));
  olds.slice(news.length).forEach((one) => one.remove());
}

// A control says what the server says, but for one whose change the server has not yet taken.
function control(old, fresh) {
  if (old.waiting) return;
  if (old.nodeName === "INPUT") old.checked = fresh.checked;
  if (old.nodeName === "SELECT" && old.value !== fresh.value) old.value = fresh.value;
}
