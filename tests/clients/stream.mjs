// Follows a user's stream with tokens that it signs itself; says each message as a line of JSON.
import { Ringline, signUserToken } from "ringline-client";

const { API: url, SECRET: secret, KID: kid, USER: userId, EXPIRES: expires, SILENCE } = process.env;
let tokens = 0;
const credential = () => {
  tokens++;
  return signUserToken({ secret, kid, userId, expiresIn: Number(expires) });
};
const ringline = new Ringline({ url, credential });
for await (const { id, type, body } of ringline.events({ silence: Number(SILENCE) * 1000 })) {
  console.log(JSON.stringify({ id, type, what: body.what, tokens }));
}
