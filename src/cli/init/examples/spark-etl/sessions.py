"""Groups the clicks of each user into sessions: half an hour without a click ends one."""

import sys

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

source, target = sys.argv[1:]
spark = SparkSession.builder.appName("sessions").getOrCreate()

of_user = Window.partitionBy("user").orderBy("time")
since_last = F.col("time").cast("long") - F.lag(F.col("time").cast("long")).over(of_user)
begins = F.when(since_last.isNull() | (since_last > 1800), 1).otherwise(0)

clicks = spark.read.parquet(source).withColumn("begins", begins)
sessions = (
    clicks.withColumn("session", F.sum("begins").over(of_user))
    .groupBy("user", "session")
    .agg(F.min("time").alias("start"), F.max("time").alias("end"), F.count("*").alias("clicks"))
)
sessions.write.parquet(target)
