"""The demonstration: three example products on a site of their own."""
