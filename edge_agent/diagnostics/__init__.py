"""What is handed to somebody who is to find out what is wrong: everything that helps, and no secret."""
