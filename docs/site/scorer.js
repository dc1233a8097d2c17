// What is found first: what tells how to do something, before papers that tell why it is so or what it was.
var Scorer = {
  score: ([name, , , , found]) =>
    found + (/decisions|CHANGELOG|asvs|promises|performance|faults|soak/.test(name) ? -20 : /guides|runbook/.test(name) ? 5 : 0),
  objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
