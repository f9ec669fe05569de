"""What a user asks for, checked before anything is made: the request and the words it is written in."""
