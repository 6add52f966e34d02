#!/bin/sh
# Two conversations with curl: in the native format and in the AI SDK's format.
# $1 is the URL of Privity.
set -eu
privity=${1:-http://127.0.0.1:8000}
jar=$(mktemp)
trap 'rm -f "$jar"' EXIT

# The first response sets the client key as a cookie, and the cookie jar stores it. --fail-with-body
# turns a problem into an exit code; if a reply breaks off, curl exits with 18.
ask() {
  curl --silent --show-error --no-buffer --fail-with-body --cookie "$jar" --cookie-jar "$jar" \
    --header 'content-type: application/json' "$@"
}

echo "# The native protocol: the first event contains the session id."
first=$(ask "$privity/api/chat" --data '{"message": "My favourite colour is teal."}')
echo "$first"
session=$(echo "$first" | sed -n 's/^data: {"sessionId":"\([^"]*\)".*/\1/p' | head -n 1)

echo "# A second message, with the reply as one JSON document."
ask "$privity/api/chat" --header 'accept: application/json' \
  --data '{"sessionId": "'"$session"'", "message": "What did I tell you?"}'

echo "# The AI SDK's format: the client chooses the chat id."
ask "$privity/api/chat" --data '{"id": "curl", "messages": [
  {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Hello?"}]}]}'

echo "# Read its history and forget both conversations."
ask "$privity/api/chat/curl"
ask --request DELETE "$privity/api/chat/curl"
ask --request DELETE "$privity/api/chat?sessionId=$session"
echo "# Done."
