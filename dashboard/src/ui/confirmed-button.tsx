import { useState } from "react";
import { Dialog } from "./dialog.tsx";
import { Check } from "./field.tsx";

/** A button for what can't be taken back: its dialog asks for a tick first. `what` names the thing, as in "the token ci". */
export function ConfirmedButton(props: {
  word: string;
  what: string;
  question: string;
  isPending: boolean;
  onConfirm: () => void;
}) {
  const [isAsking, setIsAsking] = useState(false);
  const title = `${props.word} ${props.what}`;
  return (
    <>
      <button
        type="button"
        className="button danger compact"
        aria-label={title}
        disabled={props.isPending}
        onClick={() => setIsAsking(true)}
      >
        {props.word}
      </button>
      {isAsking && <Question {...props} title={title} onClose={() => setIsAsking(false)} />}
    </>
  );
}

function Question(props: {
  title: string;
  word: string;
  question: string;
  onConfirm: () => void;
  onClose: () => void;
}) {
  const [isSure, setIsSure] = useState(false);
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <p>{props.question}</p>
      <Check checked={isSure} onChange={setIsSure}>
        I understand that this can't be undone
      </Check>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={props.onClose}>
          Cancel
        </button>
        <button
          type="button"
          className="button danger primary"
          disabled={!isSure}
          onClick={() => {
            props.onConfirm();
            props.onClose();
          }}
        >
          {props.word}
        </button>
      </div>
    </Dialog>
  );
}
