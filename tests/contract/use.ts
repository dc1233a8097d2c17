// A backend written with nothing but what a generator made of Ringline's OpenAPI.
import { client } from "./client/client.gen.js";
import { acceptCall, readCall, registerDevice, ring } from "./client/sdk.gen.js";

declare const process: { env: Record<string, string>; exitCode: number };

client.setConfig({ baseUrl: process.env.API, auth: process.env.KEY, throwOnError: true });

const tokens = [{ kind: "voip", token: "cd".repeat(32), app_id: "com.example.app" }];
const device = await registerDevice({ body: { user_id: "bob", device_id: "ts", tokens } });
const rung = await ring({ body: { caller: { id: "alice" }, callees: ["bob"], video: true } });
const reference = rung.data?.session_id ?? "";
const body = { user_id: "bob", device_id: "ts" };
const accepted = await acceptCall({ path: { reference }, body });
const read = await readCall({ path: { reference } });
console.log(
  JSON.stringify({
    device: device.data?.device_id,
    member_token: accepted.data?.member_token.slice(0, 6),
    state: read.data?.state,
    members: read.data?.members.map((member) => [member.user_id, member.state]),
  }),
);
