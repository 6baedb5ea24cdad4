"""What a run was launched with: notes of its launches, copies of the code, nothing secret."""
