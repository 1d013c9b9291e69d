"""Files to start from. A workbook has the rows of the CSV file."""

CSV = """\
face_value,currency,email,product,description,reference
10,USD,ann@example.com,AMZ-US,November bonus,E001
25,USD,ben@example.com,AMZ-US|AIRBNB-US,November bonus,E002
20,GBP,cleo@example.com,ABO-GB,November bonus,E003
"""

JSON = """\
{
  "payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"},
  "description": "November bonus",
  "items": [
    {
      "face_value": 10,
      "distribution_method": {"type": "EMAIL", "email_address": "ann@example.com"},
      "products": {"type": "SINGLE", "value": "AMZ-US"}
    },
    {
      "face_value": 25,
      "distribution_method": {"type": "PAYOUT_LINK"},
      "products": {"type": "MULTIPLE", "values": ["AMZ-US", "AIRBNB-US"]}
    }
  ]
}
"""
