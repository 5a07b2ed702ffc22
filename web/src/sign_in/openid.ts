/** Signing in with the provider of an organization: why it did not work, for a person. */

const REASONS: Readonly<Record<string, string>> = {
  cancelled: "Signing in was cancelled at the provider. Try again.",
  expired: "That took longer than ten minutes, or began in another browser. Try again.",
  provider:
    "The provider cannot be reached, or its answer is not valid. The log of the server says why.",
  email_not_verified:
    "The provider does not say that your e-mail is verified. Verify it there, then try again.",
  not_invited: "Nobody has invited your e-mail. Ask an admin of the account for an invitation.",
  not_allowed: "No rule of this server admits you. Ask those who run it.",
  has_password:
    "You have a password here: sign in with it, then connect the provider under Account, You.",
  other_identity:
    "Your e-mail belongs to somebody whom the provider calls differently. Ask those who run the server.",
  too_many: "There were too many attempts. Wait a minute, then try again.",
  unavailable: "The server cannot sign anybody in at the moment. Try again later.",
};

/** Return the message for the reason in an address; an empty text without a reason. */
export function openIdFailure(reason: string | null): string {
  if (reason === null || reason === "") return "";
  return REASONS[reason] ?? "Signing in with the provider did not work. Try again.";
}
