import { useState, type FormEvent, type ReactNode } from "react";
import type { ApiError } from "../api/api-error.ts";
import { Dialog } from "./dialog.tsx";
import { TextField } from "./field.tsx";
import { Failure } from "./notice.tsx";

/** Asks for the name of what is to go. Its button works only once the name is typed. */
export function ConfirmName(props: {
  title: string;
  name: string;
  action: string;
  isPending: boolean;
  error: ApiError | null;
  onConfirm: () => void;
  onClose: () => void;
  children: ReactNode;
}) {
  const [typed, setTyped] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (typed === props.name) props.onConfirm();
  };
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form onSubmit={submit} className="stack">
        {props.children}
        <TextField
          label={`Type ${props.name} to go on`}
          value={typed}
          onChange={setTyped}
          autoComplete="off"
          spellCheck={false}
        />
        <Failure error={props.error} />
        <div className="dialog-actions">
          <button type="button" className="button" onClick={props.onClose}>
            Cancel
          </button>
          <button type="submit" className="button danger primary" disabled={typed !== props.name || props.isPending}>
            {props.action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
