import { useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { useEffect, useState, type FormEvent } from "react";
import type { Session } from "../../generated/api.ts";
import { asApiError, type ApiError } from "../api/api-error.ts";
import { beginSession, SESSION } from "../api/session.ts";
import { TextField } from "../ui/field.tsx";
import { Mark } from "../ui/icons.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import { ThemeButton } from "../ui/theme.tsx";

const route = getRouteApi("/login");

export function LoginPage() {
  const { next } = route.useSearch();
  useEffect(() => {
    document.title = "Log in · Tidemark";
  }, []);
  return (
    <main className="login-page">
      <div className="login-card stack">
        <div className="row spread">
          <h1 className="brand">
            <Mark />
            <span>Tidemark</span>
          </h1>
          <ThemeButton />
        </div>
        {next !== undefined && <Notice>Log in to see that page.</Notice>}
        <div className="block">
          <div className="block-body">
            <LoginForm next={next ?? "/apps"} />
          </div>
        </div>
        <p className="muted small">
          The first user is <code>owner</code>; the platform wrote its password to the file <code>first-login</code> in
          its home. Lost it? Run <code>tidemark owner reset-password</code> on the machine itself.
        </p>
      </div>
    </main>
  );
}

function LoginForm({ next }: { next: string }) {
  const [identifier, setIdentifier] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [isCodeAsked, setIsCodeAsked] = useState(false);
  const client = useQueryClient();
  const router = useRouter();
  const login = useMutation<Session, ApiError>({
    mutationFn: () =>
      beginSession({ identifier, password, code }).catch((thrown: unknown) => Promise.reject(asApiError(thrown))),
    onSuccess: (session) => {
      client.clear();
      client.setQueryData(SESSION.queryKey, { session });
      router.history.push(next);
    },
    onError: (error) => setIsCodeAsked(isCodeAsked || isCodeWanted(error)),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    login.mutate();
  };
  return (
    <form onSubmit={submit} className="stack">
      <div>
        <TextField
          label="Username or e-mail address"
          value={identifier}
          onChange={setIdentifier}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          autoFocus
          required
        />
        <TextField
          label="Password"
          type="password"
          value={password}
          onChange={setPassword}
          autoComplete="current-password"
          required
        />
        {isCodeAsked && (
          <TextField
            label="One-time code"
            value={code}
            onChange={setCode}
            autoComplete="one-time-code"
            autoFocus
            required
            hint="From your authenticator, or one of your recovery codes."
          />
        )}
      </div>
      {login.error !== null && !isCodeWanted(login.error) && <Failure error={login.error} />}
      <button type="submit" className="button primary" disabled={login.isPending}>
        Log in
      </button>
    </form>
  );
}

/** Whether the password was right, and a one-time code is all that is missing. */
function isCodeWanted({ code }: ApiError): boolean {
  return code === "second_factor_required";
}
