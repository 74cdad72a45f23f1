import { useState, type FormEvent } from "react";
import type { ListedUser } from "../../generated/api.ts";
import { useCall } from "../api/queries.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Check, TextField } from "../ui/field.tsx";
import { Failure } from "../ui/notice.tsx";
import { randomPassword } from "../ui/random-password.ts";

/** What is left to do after a password was set: whose it is, and the password where the page made it (null where it was typed). */
export interface Handover {
  readonly username: string;
  readonly password: string | null;
}

interface DialogProps {
  readonly onMade: (made: Handover) => void;
  readonly onClose: () => void;
}

export function CreateUserDialog({ onMade, onClose }: DialogProps) {
  const [username, setUsername] = useState("");
  const [email, setEmail] = useState("");
  const [fullname, setFullname] = useState("");
  const password = usePassword();
  const create = useCall("createUser", { onSuccess: () => onMade({ username, password: password.shown }) });
  const problems = create.error?.fields ?? {};
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate({ body: { user: { username, email, fullname, password: password.value } } });
  };
  return (
    <Dialog title="Create a user" onClose={onClose}>
      <form onSubmit={submit} className="stack">
        <div>
          <TextField
            label="Username"
            value={username}
            onChange={setUsername}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            required
            hint="To log in with: lower-case letters, digits and hyphens, such as alice."
            problems={problems["username"]}
          />
          <TextField
            label="E-mail address"
            value={email}
            onChange={setEmail}
            autoComplete="off"
            inputMode="email"
            spellCheck={false}
            required
            problems={problems["email"]}
          />
          <TextField
            label="Full name"
            value={fullname}
            onChange={setFullname}
            autoComplete="off"
            hint="If you like."
            problems={problems["fullname"]}
          />
          <PasswordField password={password} problems={problems["password"]} />
        </div>
        <Failure error={create.error} beside={["username", "email", "fullname", "password"]} />
        <DialogButtons action="Create" isPending={create.isPending} onClose={onClose} />
      </form>
    </Dialog>
  );
}

export function ResetUserDialog({ user, onMade, onClose }: DialogProps & { user: ListedUser }) {
  const { id, username } = user;
  const password = usePassword();
  const [isSure, setIsSure] = useState(false);
  const reset = useCall("resetUser", { onSuccess: () => onMade({ username, password: password.shown }) });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    reset.mutate({ path: { id }, body: { user: { password: password.value } } });
  };
  return (
    <Dialog title={`New password for ${username}`} onClose={onClose}>
      <form onSubmit={submit} className="stack">
        <p>For somebody who has lost it. All of the user's logins end; API tokens and SSH keys go on.</p>
        <PasswordField password={password} problems={reset.error?.fields["password"]} />
        <Check checked={isSure} onChange={setIsSure}>
          I understand that the present password{user.two_factor ? " and the second factor are" : " is"} gone then
        </Check>
        <Failure error={reset.error} beside={["password"]} />
        <DialogButtons action="Set the password" isPending={reset.isPending || !isSure} onClose={onClose} />
      </form>
    </Dialog>
  );
}

interface ChosenPassword {
  readonly value: string;
  /** Null when whoever typed it knows it. */
  readonly shown: string | null;
  readonly isMade: boolean;
  readonly setIsMade: (isMade: boolean) => void;
  readonly setTyped: (typed: string) => void;
}

/** A password that the page makes, or one that is typed. */
function usePassword(): ChosenPassword {
  const [made] = useState(randomPassword);
  const [typed, setTyped] = useState("");
  const [isMade, setIsMade] = useState(true);
  return { value: isMade ? made : typed, shown: isMade ? made : null, isMade, setIsMade, setTyped };
}

function PasswordField(props: { password: ChosenPassword; problems: readonly string[] | undefined }) {
  const { value, isMade, setIsMade, setTyped } = props.password;
  return (
    <div className="beneath">
      <Check checked={isMade} onChange={setIsMade}>
        Make a password, and show it once
      </Check>
      {!isMade && (
        <TextField
          label="Password"
          type="password"
          value={value}
          onChange={setTyped}
          autoComplete="new-password"
          required
          hint="8 characters at least."
          problems={props.problems}
        />
      )}
    </div>
  );
}

function DialogButtons(props: { action: string; isPending: boolean; onClose: () => void }) {
  return (
    <div className="dialog-actions">
      <button type="button" className="button" onClick={props.onClose}>
        Cancel
      </button>
      <button type="submit" className="button primary" disabled={props.isPending}>
        {props.action}
      </button>
    </div>
  );
}
