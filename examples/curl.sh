#!/bin/sh
# A conversation with curl, once natively and once as the AI SDK talks. $1 is the address of Privity.
set -eu
privity=${1:-http://127.0.0.1:8000}
jar=$(mktemp)
trap 'rm -f "$jar"' EXIT

# The cookie jar keeps the client key, which the first answer hands out. --fail-with-body turns a
# problem into an exit code; a reply that breaks off ends curl with 18.
ask() {
  curl --silent --show-error --no-buffer --fail-with-body --cookie "$jar" --cookie-jar "$jar" \
    --header 'content-type: application/json' "$@"
}

echo "# The native protocol: the first event names the session."
first=$(ask "$privity/api/chat" --data '{"message": "My favourite colour is teal."}')
echo "$first"
session=$(echo "$first" | sed -n 's/^data: {"sessionId":"\([^"]*\)".*/\1/p' | head -n 1)

echo "# A second message, answered as one document."
ask "$privity/api/chat" --header 'accept: application/json' \
  --data '{"sessionId": "'"$session"'", "message": "What did I tell you?"}'

echo "# The AI SDK's body: the name of the chat is our own choice."
ask "$privity/api/chat" --data '{"id": "curl", "messages": [
  {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Hello?"}]}]}'

echo "# Its history, and the end of both conversations."
ask "$privity/api/chat/curl"
ask --request DELETE "$privity/api/chat/curl"
ask --request DELETE "$privity/api/chat?sessionId=$session"
echo "# Done."
