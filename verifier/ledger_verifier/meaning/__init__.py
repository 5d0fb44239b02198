"""What entries say: the schemas registered in the log, and the state of a case folded from them.

Pure functions over decoded entries: no input or output, no clock, and nothing of the service.
"""
