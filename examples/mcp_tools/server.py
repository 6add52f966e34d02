"""A tool server with two tools: one that only reads, and one that must never be repeated.

Run it with: python server.py [port]
"""

import sys
from datetime import date
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

HOURS = {0: "9 to 17", 1: "9 to 17", 2: "9 to 17", 3: "9 to 19", 4: "9 to 15"}

server = MCPServer("library", instructions="Opening hours and appointments of the city library.")
appointments: dict[str, str] = {}


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def opening_hours(
    day: Annotated[date, Field(description="The day, as YYYY-MM-DD.")],
) -> str:
    """When the library is open on one day."""
    return HOURS.get(day.weekday(), "closed")


@server.tool()
def book_appointment(
    day: Annotated[date, Field(description="The day, as YYYY-MM-DD.")],
    name: Annotated[str, Field(description="Who is coming.", max_length=100)],
) -> str:
    """Book an appointment with a librarian."""
    if day.weekday() not in HOURS:
        raise ValueError("The library is closed on that day.")
    number = f"A{len(appointments) + 1}"
    appointments[number] = f"{day}: {name}"
    return f"Appointment {number} on {day} is booked."


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    server.run("streamable-http", port=port)
