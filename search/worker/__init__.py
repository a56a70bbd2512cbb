"""What a worker can do, one module a kind of task; `search.worker.worker.Worker` hands tasks to them."""
