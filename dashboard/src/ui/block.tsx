import { useId, type ReactNode } from "react";

/** A titled part of a page. `flush` leaves its content without a margin, for tables. */
export function Block(props: { title: string; actions?: ReactNode; flush?: boolean; children: ReactNode }) {
  const id = useId();
  return (
    <section className="block" aria-labelledby={id}>
      <div className="block-head">
        <h2 id={id}>{props.title}</h2>
        {props.actions !== undefined && <div className="row">{props.actions}</div>}
      </div>
      <div className={props.flush === true ? "block-body flush" : "block-body"}>{props.children}</div>
    </section>
  );
}

/** What a page shows while it has nothing: what belongs here, and the first step. */
export function Empty(props: { title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <div className="empty">
      <h3>{props.title}</h3>
      <p>{props.children}</p>
      {props.action}
    </div>
  );
}
