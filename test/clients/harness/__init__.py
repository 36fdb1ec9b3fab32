"""The client-compatibility suite: what every client is asked to do, and how its answers are judged."""
