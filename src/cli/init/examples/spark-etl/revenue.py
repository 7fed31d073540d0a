"""Sums up the orders that were made in each session, by day."""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

sessions_at, orders_at, target = sys.argv[1:]
spark = SparkSession.builder.appName("revenue").getOrCreate()

sessions = spark.read.parquet(sessions_at).alias("session")
orders = spark.read.parquet(orders_at).alias("order")
in_session = (F.col("order.user") == F.col("session.user")) & F.col("order.time").between(
    F.col("session.start"), F.col("session.end")
)
revenue = (
    orders.join(sessions, in_session)
    .groupBy(F.to_date("order.time").alias("day"))
    .agg(
        F.sum("order.amount").alias("revenue"),
        F.countDistinct("session.user", "session.session").alias("sessions"),
    )
)
revenue.orderBy("day").coalesce(1).write.parquet(target)
