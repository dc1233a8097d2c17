// The recipe for React, in a page.
import { createRoot } from "react-dom/client";
import { Phone } from "./react";

const main = document.body.appendChild(document.createElement("main"));
createRoot(main).render(<Phone userId="bob" deviceId="tab" />);
