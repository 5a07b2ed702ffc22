"""The backend for several servers: one PostgreSQL database, any number of stateless replicas."""
