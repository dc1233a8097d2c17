// How things are called on the page. What they are, the server has decided.

// A call over on a phone, as its Recents list says it: [title, why].
export function recent(one) {
  const titles = {
    missed: "Missed", completed: "Completed", declined: "Declined", failed: "Failed",
    answered_elsewhere: "Answered elsewhere", declined_elsewhere: "Declined elsewhere",
  };
  return [titles[one.recent] ?? one.recent, why(one)];
}

function why(one) {
  if (one.recent === "completed") {
    const by = one.ended_by === "user" ? "hung up here" : "ended by the other side";
    return `${by}, ${duration(one.ended_ms - one.answered_ms)}`;
  }
  if (one.recent === "declined") return "on this phone";
  if (one.ended_by === "app_died") return "the app died";
  if (one.ended_by === "system") {
    return one.ended_ms === one.reported_ms ? "silenced, no screen shown" : "iOS stopped ringing";
  }
  return { 1: "could not be connected", 2: "the caller hung up", 3: "nobody answered" }[one.reason] ?? "";
}

// CallKit's names of its integers.
export const REASONS = { 1: "failed", 2: "remote ended", 3: "unanswered",
  4: "answered elsewhere", 5: "declined elsewhere" };

export const CALL_REASONS = {
  completed: "completed", cancelled: "cancelled by the caller", declined: "declined",
  busy: "busy", missed: "missed: nobody answered", alone: "ended: one member was left alone",
  max_duration: "ended: its longest time was over", ended_by_server: "ended by the server",
  failed: "failed",
};

// Verdicts: [kind of tag, word].
export const OUTCOMES = {
  reported: ["good", "Rings"], crash: ["bad", "Crashes"],
  never_rings: ["bad", "Never rings"], killed_by_watchdog: ["bad", "Killed by iOS"],
};

export const APPS = { locked: "Locked", foreground: "Foreground", killed: "Killed" };
export const ANDROID_APPS = { locked: "Locked", foreground: "In use", killed: "Killed" };

export function ms(value) {
  if (value === null || value === undefined) return "–";
  if (value < 100) return `${value.toFixed(1)}\u00a0ms`;
  if (value < 10_000) return `${thousands(Math.round(value))}\u00a0ms`;
  return `${(value / 1000).toFixed(1)}\u00a0s`;
}

export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export function thousands(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

export function initials(name) {
  return name.split(/\s+/).filter(Boolean).slice(0, 2).map((word) => word[0].toUpperCase()).join("") || "?";
}

export function clock(at) {
  return `${at.getHours()}:${String(at.getMinutes()).padStart(2, "0")}`;
}

// To the millisecond, in the reader's own zone.
export function stamp(milliseconds) {
  const at = new Date(milliseconds);
  const two = (number) => String(number).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}
