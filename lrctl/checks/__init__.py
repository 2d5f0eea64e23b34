"""What `lrctl check` and `lrctl.testing.check_workload` find out about a workload."""
