// Drawings of our own, in strokes: each a function that makes a new SVG.
import { s } from "./draw.js";

function icon(name, box, ...paths) {
  return () => s("svg", { viewBox: box, class: `icon ${name}`, "aria-hidden": "true" },
    paths.map(([d, kind]) => s("path", { d, class: kind ?? "stroke" })));
}

const HANDSET = "M4.6 3.2 7.2 2.6a1.4 1.4 0 0 1 1.6.8l1.3 3a1.4 1.4 0 0 1-.4 1.6L8.1 9.3a12.5 12.5 0 0 0 6.6 6.6l1.3-1.6a1.4 1.4 0 0 1 1.6-.4l3 1.3a1.4 1.4 0 0 1 .8 1.6l-.6 2.6a1.5 1.5 0 0 1-1.5 1.2C10.6 20.6 3.4 13.4 3.4 4.7A1.5 1.5 0 0 1 4.6 3.2Z";
export const accept = icon("accept", "0 0 24 24", [HANDSET, "solid"]);
export const decline = icon("decline", "0 0 24 24", [HANDSET, "solid"]);
export const video = icon("video", "0 0 24 24",
  ["M3 8.5A2.5 2.5 0 0 1 5.5 6h7A2.5 2.5 0 0 1 15 8.5v7a2.5 2.5 0 0 1-2.5 2.5h-7A2.5 2.5 0 0 1 3 15.5Z", "solid"],
  ["M16.5 10.6 20 8.2c.5-.3 1 0 1 .5v6.6c0 .5-.5.8-1 .5l-3.5-2.4Z", "solid"]);
export const plane = icon("plane", "0 0 24 24",
  ["M12 2.4c.9 0 1.5.9 1.5 2v4.5l7.5 4.5v2l-7.5-2.2v4.3l2.2 1.7v1.6L12 19.7l-3.7 1.1v-1.6l2.2-1.7v-4.3L3 15.4v-2l7.5-4.5V4.4c0-1.1.6-2 1.5-2Z", "solid"]);
export const moon = icon("moon", "0 0 24 24", ["M20 14.3A8.5 8.5 0 0 1 9.7 4 8.5 8.5 0 1 0 20 14.3Z", "solid"]);
export const signal = icon("signal", "0 0 18 12",
  ["M1 8.5h2.5V12H1ZM5.5 6H8v6H5.5ZM10 3.2h2.5V12H10ZM14.5 0H17v12h-2.5Z", "solid"]);
export const battery = icon("battery", "0 0 26 12",
  ["M3 .6h17A2.4 2.4 0 0 1 22.4 3v6A2.4 2.4 0 0 1 20 11.4H3A2.4 2.4 0 0 1 .6 9V3A2.4 2.4 0 0 1 3 .6Z"],
  ["M3.5 2.5h12v7h-12Z", "solid"], ["M24 4v4a2 2 0 0 0 0-4Z", "solid"]);
export const padlock = icon("padlock", "0 0 24 24",
  ["M6 11h12a1.5 1.5 0 0 1 1.5 1.5v7A1.5 1.5 0 0 1 18 21H6a1.5 1.5 0 0 1-1.5-1.5v-7A1.5 1.5 0 0 1 6 11Z", "solid"],
  ["M8 11V7.5a4 4 0 0 1 8 0V11"]);
export const stopped = icon("stopped", "0 0 24 24",
  ["M8.2 2.5h7.6l5.7 5.7v7.6l-5.7 5.7H8.2l-5.7-5.7V8.2Z"], ["M12 7.5v5.5M12 16.4v.2"]);
export const waiting = icon("waiting", "0 0 24 24",
  ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z"], ["M12 7.5V12l3 2"]);
export const mute = icon("mute", "0 0 24 24",
  ["M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3Z", "solid"], ["M5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21"]);
export const speaker = icon("speaker", "0 0 24 24",
  ["M4 9.5h3.5L12 5.5v13l-4.5-4H4Z", "solid"], ["M15 9a4 4 0 0 1 0 6M17.5 6.5a7.5 7.5 0 0 1 0 11"]);
export const torch = icon("torch", "0 0 24 24",
  ["M7.5 3h9v3.5L14.5 10v10a1 1 0 0 1-1 1h-3a1 1 0 0 1-1-1V10l-2-3.5Z", "solid"]);
export const camera = icon("camera", "0 0 24 24",
  ["M4 8h3.2L9 5.5h6L16.8 8H20a1.2 1.2 0 0 1 1.2 1.2v8.6A1.2 1.2 0 0 1 20 19H4a1.2 1.2 0 0 1-1.2-1.2V9.2A1.2 1.2 0 0 1 4 8Z"],
  ["M12 10a3.3 3.3 0 1 0 0 6.6 3.3 3.3 0 0 0 0-6.6Z"]);
export const incoming = icon("incoming", "0 0 24 24", ["M18 6 7 17M7 9v8h8"]);
export const cross = icon("cross", "0 0 24 24", ["M7 7l10 10M17 7 7 17"]);
export const elsewhere = icon("elsewhere", "0 0 24 24",
  ["M4 12h13M12.5 7l5 5-5 5"]);
