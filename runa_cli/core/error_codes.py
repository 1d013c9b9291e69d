"""Every code of an error: what it means for the money, and what to do. docs/errors.md is made of this table.

A code that is Runa's own is in none of its rows: Runa's `type` is passed on as it is.
"""

from typing import NamedTuple


class Explained(NamedTuple):
    """What a code means. `exits` are the exit codes that an error of this code may end in."""

    exits: tuple[int, ...]
    money: str
    meaning: str
    remedy: str


NOT_MOVED, UNKNOWN, AS_SAID = "not moved", "unknown", "see `money`"

CODES: dict[str, Explained] = {
    "defect": Explained((1,), AS_SAID, "a bug in `runa`", "run the same command again, which is safe; report the message"),
    # --- 2 -----------------------------------------------------------------------------------------------------------
    "usage": Explained((2,), NOT_MOVED, "the command line cannot be understood", "`--help` of the command"),
    "ambiguous": Explained((2,), NOT_MOVED, "several gifts have the reference", "name one by its item id, or add `--batch`"),
    # --- 3 -----------------------------------------------------------------------------------------------------------
    "invalid_input": Explained((3,), NOT_MOVED, "flags or file break a rule; `details` has each mistake with its place", "correct them all, run it again"),
    "no_batch": Explained((3,), NOT_MOVED, "there is no batch of this name", "`runa batch list`, or another `--env`"),
    "no_gift": Explained((3,), NOT_MOVED, "no gift has this item id, link or reference", "`runa gift list --search`"),
    "no_product": Explained((3,), NOT_MOVED, "the catalogue has no such code", "`runa product list --search`"),
    "no_currency": Explained((3,), NOT_MOVED, "there is no such currency", "three letters such as USD"),
    "too_large": Explained((3,), NOT_MOVED, "the results do not fit into an XLSX file", "name a CSV file for `--results`"),
    # --- 4 -----------------------------------------------------------------------------------------------------------
    "configuration": Explained((4,), NOT_MOVED, "a setting, or a file of settings, cannot be used", "`runa config` shows each with its origin"),
    "no_key": Explained((4,), NOT_MOVED, "there is no API key", "export `RUNA_API_KEY`, choose a `--profile`, or try `--env local`"),
    "no_profile": Explained((4,), NOT_MOVED, "there is no profile of this name", "`runa config` lists them"),
    "no_environment": Explained((4,), NOT_MOVED, "it is not known which environment is meant", "add `--env`"),
    "no_policy": Explained((4,), NOT_MOVED, "no policy is in force", "`RUNA_POLICY`, or `runa policy check FILE`"),
    "no_approval_rule": Explained((4,), NOT_MOVED, "a batch was proposed, and no policy says who may approve it", "set `RUNA_POLICY` to the policy with that `[approval]`"),
    "signers_unusable": Explained((4,), NOT_MOVED, "the file of allowed signers cannot be used", "correct it, or `signers` in the policy"),
    "no_ssh_keygen": Explained((4,), NOT_MOVED, "signatures are verified with ssh-keygen, which is not installed", "install OpenSSH's client"),
    "policy_unusable": Explained((4,), NOT_MOVED, "the policy cannot be read", "correct it; without it nothing is sent"),
    "no_xlsx": Explained((4,), NOT_MOVED, "workbooks need libraries that are not installed", "`pip install 'runa-cli[excel]'`"),
    "results_unwritable": Explained((4,), NOT_MOVED, "the file of `--results` cannot be written", "make room or get permission there, or name another file"),
    "batch_name_needed": Explained((4,), NOT_MOVED, "in live with a ledger on a server, an order needs a name", "add `--batch NAME`"),
    "emulator_in_use": Explained((4,), NOT_MOVED, "another process works with the emulator's data", "stop it first"),
    "credential_refused": Explained((4,), NOT_MOVED, "Runa does not accept key, permission, address or version", "check the key and `RUNA_BASE_URL`"),
    "ledger_unusable": Explained((4, 7), AS_SAID, "the ledger cannot be opened, read or written; with exit 7, after something was sent", "make room, repair or restore it, then run the same command again"),
    "ledger_damaged": Explained((4, 7), AS_SAID, "an order in the ledger is not as it was recorded", "restore the ledger; the order is not sent as it is"),
    "ledger_went_backwards": Explained((4,), NOT_MOVED, "the ledger is older than when it was last used, or another one", "restore the newest one; do not begin a new one"),
    # --- 5 -----------------------------------------------------------------------------------------------------------
    "refused": Explained((5,), NOT_MOVED, "Runa refused a request without a reason", "`runa ping` checks key and connection"),
    "order_refused": Explained((5,), NOT_MOVED, "Runa rejected the order without a reason", "correct it and run it again: it gets a new key"),
    "order_failed": Explained((5, 6), "not moved, as far as Runa says", "Runa reports the order as FAILED", "ask ordersupport@runa.io with its id before you issue it again"),
    "no_estimate": Explained((5,), NOT_MOVED, "there is no estimate in the playground, or for a product template", "use a live key, or `--env local`; estimate products"),
    # --- 6 -----------------------------------------------------------------------------------------------------------
    "guard_refused": Explained((6,), NOT_MOVED, "a check of this program refused", "as the message says"),
    "duplicate": Explained((6,), NOT_MOVED, "the same gift was issued, is unfinished or was given up", "as the message says; `--again` if it is meant once more"),
    "batch_changed": Explained((6,), NOT_MOVED, "gifts that were issued are missing or changed in the input", "put the rows back; a further gift is a row of its own"),
    "reference_changed": Explained((6,), NOT_MOVED, "a reference is recorded with another recipient, value or products", "a new gift needs a reference of its own"),
    "key_reused": Explained((6,), NOT_MOVED, "the `--idempotency-key` stands for another order", "give the same order, or another key"),
    "name_differs_in_case": Explained((6,), NOT_MOVED, "another batch has this name in another case", "write the name as it is recorded, or choose another"),
    "key_changed": Explained((6,), NOT_MOVED, "the batch was begun under another API key", "`--yes` if both keys are of one account"),
    "other_environment": Explained((6,), NOT_MOVED, "the batch belongs to another environment", "add `--env`"),
    "policy_limit": Explained((6,), NOT_MOVED, "a limit of the policy would be exceeded", "`runa policy show` shows what is left, and when it resets"),
    "policy_not_allowed": Explained((6,), NOT_MOVED, "the policy does not allow such gifts", "take them out"),
    "policy_price_unknown": Explained((6,), NOT_MOVED, "a limit is about the balance, and what a conversion costs is not known", "pay from a balance in the products' currency"),
    "approval_needed": Explained((6,), NOT_MOVED, "the batch is above the amount that needs a second person's yes", "`--propose`, then `runa batch approve`"),
    "not_approved": Explained((6,), NOT_MOVED, "the proposed batch lacks signatures", "`runa batch approve` prints what is to be signed"),
    "not_proposed": Explained((6,), NOT_MOVED, "nobody has proposed the batch", "`runa order create … --propose`"),
    "nothing_to_propose": Explained((6,), NOT_MOVED, "nothing of the batch is left to send", "`runa batch show`"),
    "nothing_to_approve": Explained((6,), NOT_MOVED, "nothing of the batch is left to send", "`runa batch show`"),
    "changed_since_proposed": Explained((6,), NOT_MOVED, "the batch is not what was proposed", "propose it again"),
    "approval_expired": Explained((6,), NOT_MOVED, "the proposal is too old, with all its signatures", "propose it again"),
    "approval_for_other_account": Explained((6,), NOT_MOVED, "the batch was proposed to be paid by another account", "use that key, or propose it again"),
    "signature_unreadable": Explained((6,), NOT_MOVED, "the file holds no signature", "give the file that `ssh-keygen -Y sign` wrote, which ends with .sig"),
    "signature_of_other_statement": Explained((6,), NOT_MOVED, "the signature is not of this batch's statement", "sign what `runa batch approve` prints, unchanged"),
    "wrong_namespace": Explained((6,), NOT_MOVED, "the signature was made for another purpose", "`ssh-keygen -Y sign -n runa`"),
    "unknown_signer": Explained((6,), NOT_MOVED, "the signer is not among those who may approve", "let one of them sign"),
    "own_signature": Explained((6,), NOT_MOVED, "who proposed a batch cannot approve it", "let somebody else sign"),
    "above_max_total": Explained((6,), NOT_MOVED, "the total is above `--max-total` or `RUNA_MAX_TOTAL`", "raise the cap if it is meant"),
    "total_differs": Explained((6,), NOT_MOVED, "the total is not that of `--confirm-total`", "check the input"),
    "not_confirmed": Explained((6,), NOT_MOVED, "nobody said yes", "answer the question; without a terminal `--yes` or `--confirm-total`"),
    "insufficient_funds": Explained((5, 6), NOT_MOVED, "the balance does not suffice", "add funds; `runa balance` shows them"),
    "pruned": Explained((6,), NOT_MOVED, "the batch was pruned: its links are no longer recorded", "`runa order get ID` asks Runa"),
    "not_shown": Explained((6, 7), NOT_MOVED, "the batch has links that were never shown; with exit 7, Runa does not show yet what is to be read back", "`runa batch export` shows the links; with exit 7, run the same command again later"),
    "not_old_enough": Explained((6,), NOT_MOVED, "the batch settled too short a time ago to be pruned", "a smaller `--older-than`"),
    "unstamped_orders": Explained((6,), NOT_MOVED, "Runa has orders that may be another program's, or this ledger's", "`runa ledger check --unstamped adopt` or `leave`"),
    "issued_elsewhere": Explained((6,), NOT_MOVED, "more of the batch was issued from another ledger", "run the command that created it, with its file"),
    "links_in_doubt": Explained((6,), NOT_MOVED, "for whom payout links were made is not recorded here, and Runa does not tell", "the file as it was then, or the ledger that has recorded it; `--again` where other gifts are meant"),
    # --- 7 -----------------------------------------------------------------------------------------------------------
    "unreachable": Explained((7,), NOT_MOVED, "no usable answer to a request that moves no money", "check the connection, run it again"),
    "unfinished": Explained((6, 7), AS_SAID, "an order is unfinished, or its outcome unknown", "run the same command again: it cannot pay twice"),
    "not_connected": Explained((7,), NOT_MOVED, "Runa was not reached, and nothing was sent", "run the same command again"),
    "still_processing": Explained((7,), UNKNOWN, "Runa has not settled the order yet", "run the same command again: it asks, and sends nothing"),
    "outcome_unknown": Explained((7,), UNKNOWN, "neither Runa's answers nor a search tell whether the order was issued", "look in Runa's portal; `runa batch abandon` only if it was not"),
    "idempotency_validation_error": Explained((7,), UNKNOWN, "Runa has another order under this key", "look for it at Runa before anything is sent under another key"),
    "abandoned": Explained((6, 7), AS_SAID, "the order was given up: before it was sent (6), or while its outcome was unknown (7)", "`--again` issues it all the same"),
    "lookup_too_long": Explained((7,), NOT_MOVED, "the orders at Runa could not all be looked through in time", "a longer `--timeout`, or fewer days in `RUNA_LOOK_BACK`"),
    "list_cut": Explained((7,), NOT_MOVED, "Runa's list of orders could not be read to its end", "run the same command again later"),
    # --- 8, 9, 10, 75, 130 -------------------------------------------------------------------------------------------
    "partly_done": Explained((8,), "partial", "some orders of the batch are issued, others are not", "run the same command again: what is issued stays issued"),
    "unmatched_items": Explained((8,), "issued", "Runa issued items that match no row; they are shown apart", "ask ordersupport@runa.io for whom they are"),
    "output_failed": Explained((9,), AS_SAID, "the output could not be written; what was issued is recorded", "`runa batch export` writes it again"),
    "differences": Explained((10,), NOT_MOVED, "an audit found differences", "as the report says"),
    "journal_differs": Explained((10,), NOT_MOVED, "the journal is not as it was when a head was kept, or the ledger does not agree with it", "as the report says"),
    "batch_busy": Explained((75,), "not moved by this process", "another process works on the batch", "wait until it has ended, run it again"),
    "claim_lost": Explained((7, 8, 75), AS_SAID, "another process took the batch over while this one was stopped", "run the same command again"),
    "interrupted": Explained((130,), AS_SAID, "a person or the system stopped the program; the state is saved", "run the same command again"),
}  # fmt: skip
