"""What a worker can do, one module per kind of task; `search.worker.worker.Worker` hands tasks to them."""
