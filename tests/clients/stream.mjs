// Follows a user's stream with tokens that it signs itself; says each message as a line of JSON.
// SKEW: by how many seconds this machine's clock is wrong.
const { API: url, SECRET: secret, KID: kid, USER: userId, EXPIRES, SILENCE, SKEW, TRANSPORT } = process.env;
const right = Date.now;
Date.now = () => right() + Number(SKEW) * 1000;
const { Ringline, signUserToken } = await import("ringline-client");

let tokens = 0;
const credential = () => {
  tokens++;
  const now = Date.now() + ringline.clockOffset;
  return signUserToken({ secret, kid, userId, expiresIn: Number(EXPIRES), now });
};
const ringline = new Ringline({ url, credential });
const options = { silence: Number(SILENCE) * 1000, transport: TRANSPORT };
for await (const { id, type, body } of ringline.events(options)) {
  console.log(JSON.stringify({ id, type, what: body.what, tokens }));
}
