import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createClient } from "./api/client.ts";
import { createDashboardRouter } from "./routes.tsx";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/parts.css";
import { applyTheme } from "./ui/theme.tsx";

const element = document.getElementById("root");
if (element === null) throw new Error("The page has no element with the id root");
applyTheme();
const client = createClient({
  // The way in asks for the session once more, and leads to the login when there is none.
  onSessionEnd: () => void router.invalidate(),
});
const router = createDashboardRouter(client);
createRoot(element).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
