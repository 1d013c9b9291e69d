"""What tests are made of: the program in a process, servers to talk to, faults, inputs."""
